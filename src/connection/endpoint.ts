import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger } from 'fastify'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { Connection } from './connection.ts'
import type { ConnectionContext } from './context.ts'
import type { AnyHandler } from './handler.ts'
import type { HeartbeatLimits } from './heartbeat.ts'
import type { SlowPeerPolicy } from './outbox.ts'
import type { RateLimit } from './rate-limit.ts'

export interface ConnectionLimits extends HeartbeatLimits {
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
  readonly infoOverflow: 'close' | 'drop'
  readonly maxBufferedBytes: number
  readonly slowPeer: SlowPeerPolicy
  readonly rateLimit: RateLimit | undefined
  readonly maxMessageBytes: number
  readonly terminateTimeoutMs: number
}

/** What all connections of one route share. */
export interface Endpoint {
  readonly url: string
  readonly handler: AnyHandler
  readonly limits: ConnectionLimits
  /** Decodes and validates one data message and calls the callback that it is for. */
  readonly receive: (data: Buffer, binary: boolean, state: unknown, ws: ConnectionContext) => unknown
  /** Turns a message into its frame; throws when it cannot be sent. */
  readonly encode: (message: unknown) => OutgoingFrame
}

/** What surrounds one connection. */
export interface Surroundings {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly socket: Duplex
  /** Sends an info to the connection of that address, wherever it is. */
  readonly post: (address: string, info: unknown) => boolean
  /** Called once, when `terminate` has settled and the socket is closed. */
  readonly onGone: (connection: Connection) => void
}
