import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import type { TransportLimits } from '../transport/socket-transport.ts'
import type { ConnectionLogOptions } from '../telemetry/connection-log-options.ts'
import type { RouteTelemetry } from '../telemetry/route-telemetry.ts'
import type { Deflate } from '../wire/deflate.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { AnyContext } from './handler-context.ts'
import type { AnyHandler } from './handler.ts'
import type { HeartbeatLimits } from './heartbeat.ts'
import type { Letter, MailboxLimits } from './mailbox.ts'
import type { RateLimit } from './rate-limit.ts'
import type { RefTarget } from './ref.ts'
import type { SystemMessage } from './system-message.ts'

export interface ConnectionLimits
  extends ConnectionLogOptions, HeartbeatLimits, MailboxLimits, TransportLimits {
  readonly infoOverflow: 'close' | 'drop'
  readonly initTimeoutMs: number
  readonly maxPresenceBytes: number
  readonly rateLimit: RateLimit | undefined
  readonly terminateTimeoutMs: number
}

/** The part of a connection that topics use. */
export interface TopicMember {
  readonly id: string
  readonly group: RouteContext
  offer (info: unknown): boolean
  broadcast (message: PreparedMessage, topic: string): void
  notify (message: SystemMessage): boolean
}

/** The operations of topics that connections use. */
export interface Topics extends RefTarget {
  subscribe (topic: string, connection: TopicMember): void
  unsubscribe (topic: string, connection: TopicMember): void
  subscriptionReady (topic: string, connection: TopicMember): Promise<boolean>
  /**
   * Posts an info to all subscribers of the topic except the connection of that address. Throws
   * when the engine cannot carry it.
   */
  publish (topic: string, info: unknown, options: { readonly except: string }): void
  /** Sends a message to the clients of the same subscribers. */
  broadcast (topic: string, message: unknown, options: { readonly except: string }): void
  track (topic: string, key: string, meta: unknown, address: string, maxBytes: number): void
  untrack (topic: string, key: string, address: string): void
  /** Ends all subscriptions of a connection, and removes its presence entries. */
  unsubscribeAll (connection: TopicMember): void
}

/** A mistake in a handler that is logged once for its route: see `warnOnce`. */
export type Mistake = 'info' | 'message' | 'result'

/**
 * A data message on a route with a `guard`. The guard and the callback share one letter, so that
 * nothing runs between them: it is delivered again when the guard lets it pass.
 */
export interface GuardedMessage extends Letter {
  readonly type: 'guarded'
  readonly data: string | Buffer
  /** `read`: not decoded yet. `guard`: its guard runs. `callback`: the guard has let it pass. */
  step: 'read' | 'guard' | 'callback'
  /** The decoded and validated message. */
  message: unknown
}

/** The data that all connections of a route share. */
export interface RouteContext {
  readonly url: string
  /** The Fastify instance of the route. */
  readonly server: FastifyInstance
  /** Mistakes that have been logged for this route. */
  readonly warned: Set<Mistake>
  readonly handler: AnyHandler
  readonly limits: ConnectionLimits
  /** Decodes and validates one data message, and calls its callback. */
  readonly receive: (data: string | Buffer, state: unknown, ws: AnyContext) => unknown
  /**
   * Used instead of `receive` on a route with a `guard`. The first call decodes and validates the
   * message and calls the guard. The second call, for a message that passed, calls the callback.
   */
  readonly receiveGuarded:
    ((letter: GuardedMessage, state: unknown, ws: AnyContext) => unknown) | undefined
  /** Encodes a message as a frame. Throws when it cannot be sent. */
  readonly encode: (message: unknown) => OutgoingFrame
  /** Encodes a message for many connections. */
  readonly prepare: (message: unknown) => PreparedMessage
  /**
   * Validates an info from another node and returns the info to post. Throws when it does not match
   * the schema.
   */
  readonly checkInfo: ((info: unknown) => unknown) | undefined
  readonly topics: Topics
  /** The write batcher and the event loop tasks, which all connections of the app share. */
  readonly sharing: WriteSharing
  readonly telemetry: RouteTelemetry
  /** Called once for each connection, when its socket is closed. */
  readonly onSocketClosed: (connection: ConnectionOptions) => void
  /** Called once for each connection, when `terminate` has settled and its socket is closed. */
  readonly onGone: (connection: ConnectionOptions) => void
}

/** The data of one connection. */
export interface ConnectionOptions {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly socket: Duplex
  readonly subprotocol: string | null
  /** Undefined when permessage-deflate was not negotiated. */
  readonly deflate: Deflate | undefined
  /**
   * The key that `maxConnectionsPerKey` counts this connection under. Undefined without that
   * option.
   */
  readonly key: string | undefined
}
