import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import type { TransportLimits } from '../transport/socket-transport.ts'
import type { ConnectionLogOptions } from '../telemetry/connection-log.ts'
import type { RouteTelemetry } from '../telemetry/route-telemetry.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { Connection } from './connection.ts'
import type { ConnectionContext } from './context.ts'
import type { AnyHandler } from './handler.ts'
import type { HeartbeatLimits } from './heartbeat.ts'
import type { GuardedMessage } from './letter.ts'
import type { MailboxLimits } from './mailbox.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RefTarget } from './ref.ts'

export interface ConnectionLimits
  extends ConnectionLogOptions, HeartbeatLimits, MailboxLimits, TransportLimits {
  readonly infoOverflow: 'close' | 'drop'
  readonly initTimeoutMs: number
  readonly maxPresenceBytes: number
  readonly rateLimit: RateLimit | undefined
  readonly terminateTimeoutMs: number
}

/** Who wants to be told of what, and who is where. */
export interface Topics extends RefTarget {
  subscribe (topic: string, connection: Connection): void
  unsubscribe (topic: string, connection: Connection): void
  subscriptionReady (topic: string, connection: Connection): Promise<boolean>
  /**
   * An info for everybody on the topic but the connection of that address; throws when it cannot
   * travel.
   */
  publish (topic: string, info: unknown, options: { readonly except: string }): void
  /** A message for the clients of the same. */
  broadcast (topic: string, message: unknown, options: { readonly except: string }): void
  track (topic: string, key: string, meta: unknown, address: string, maxBytes: number): void
  untrack (topic: string, key: string, address: string): void
  /** Ends all subscriptions of one, and all that is tracked for it. */
  unsubscribeAll (connection: Connection): void
}

/** A mistake of a handler that does no harm but to itself: see `warnOnce`. */
export type Mistake = 'info' | 'message' | 'result'

/** What all connections of one route share. */
export interface RouteContext {
  readonly url: string
  /** The instance that the route was declared on. */
  readonly server: FastifyInstance
  /** What has been warned of, once for the route. */
  readonly warned: Set<Mistake>
  readonly handler: AnyHandler
  readonly limits: ConnectionLimits
  /** Decodes and validates one data message and calls the callback that it is for. */
  readonly receive: (data: string | Buffer, state: unknown, ws: ConnectionContext) => unknown
  /**
   * In place of `receive` on a route with a `guard`: first decodes, validates and calls the guard,
   * then, for a message that passed, the callback.
   */
  readonly receiveGuarded:
    ((letter: GuardedMessage, state: unknown, ws: ConnectionContext) => unknown) | undefined
  /** Turns a message into its frame; throws when it cannot be sent. */
  readonly encode: (message: unknown) => OutgoingFrame
  /** The same for one that many get. */
  readonly prepare: (message: unknown) => PreparedMessage
  /**
   * Gives an info from another node as it is to be handed on; throws when it does not match the
   * schema.
   */
  readonly checkInfo: ((info: unknown) => unknown) | undefined
  readonly topics: Topics
  /** What the connections of the app share to write. */
  readonly sharing: WriteSharing
  readonly telemetry: RouteTelemetry
  /** Called once for each, when its socket is closed. */
  readonly onSocketClosed: (connection: Connection) => void
  /** Called once for each, when its `terminate` has settled and its socket is closed. */
  readonly onGone: (connection: Connection) => void
}

/** What is one connection's own. */
export interface ConnectionOptions {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly socket: Duplex
  readonly subprotocol: string | null
  /** Where permessage-deflate was agreed on: the window that we compress with. */
  readonly windowBits: number | undefined
  /** What it is counted by, if by anything. */
  readonly key: string | undefined
}
