import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { Connection } from './connection.ts'
import type { ConnectionContext } from './context.ts'
import type { LaneEndpoint } from './fast-lane.ts'
import type { FrameBatch } from './frame-batch.ts'
import type { AnyHandler } from './handler.ts'
import type { HeartbeatLimits } from './heartbeat.ts'
import type { IntakeLimits } from './intake.ts'
import type { MailboxLimits } from './mailbox.ts'
import type { OutboxLimits } from './outbox.ts'

export interface ConnectionLimits extends HeartbeatLimits, IntakeLimits, MailboxLimits, OutboxLimits {
  readonly closeTimeoutMs: number
  readonly infoOverflow: 'close' | 'drop'
  readonly maxPresenceBytes: number
  readonly terminateTimeoutMs: number
}

/** Who wants to be told of what, and who is where. */
export interface Topics {
  subscribe (topic: string, connection: Connection): void
  unsubscribe (topic: string, connection: Connection): void
  subscriptionReady (topic: string, connection: Connection): Promise<boolean>
  track (topic: string, key: string, meta: unknown, address: string, maxBytes: number): void
  untrack (topic: string, key: string, address: string): void
  /** Ends all subscriptions of one, and all that is tracked for it. */
  leave (connection: Connection): void
  /** Sends the broadcasts that wait for the end of the tick: to be called before anything else is sent, taken in or ended. */
  settle (): void
}

/** What all connections of one route share. */
export interface Endpoint extends LaneEndpoint {
  readonly url: string
  readonly handler: AnyHandler
  readonly limits: ConnectionLimits
  /** Decodes and validates one data message and calls the callback that it is for. */
  readonly receive: (data: string | Buffer, state: unknown, ws: ConnectionContext) => unknown
  /** Turns a message into its frame; throws when it cannot be sent. */
  readonly encode: (message: unknown) => OutgoingFrame
  /** The same for one that many get. */
  readonly share: (message: unknown) => FrameBatch
  /** Gives an info from another node as it is to be handed on; throws when it does not match the schema. */
  readonly checkInfo: ((info: unknown) => unknown) | undefined
  readonly topics: Topics
  /** Sends an info to the connection of that address, wherever it is. */
  readonly post: (address: string, info: unknown) => boolean
  /** Called once for each, when its `terminate` has settled and its socket is closed. */
  readonly onGone: (connection: Connection) => void
}

/** What is one connection's own. */
export interface Peer {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly socket: Duplex
  readonly subprotocol: string | null
  /** Agreed to compress in a smaller window than 32 KiB. */
  readonly smallWindow: boolean
  /** What it is counted by, if by anything. */
  readonly key: string | undefined
}
