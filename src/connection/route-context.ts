import type { Duplex } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import type { TransportLimits } from '../transport/socket-transport.ts'
import type { ConnectionLogOptions } from '../telemetry/connection-log-options.ts'
import type { RouteTelemetry } from '../telemetry/route-telemetry.ts'
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

/** A connection, as topics see it. */
export interface TopicMember {
  readonly id: string
  readonly group: RouteContext
  offer (info: unknown): boolean
  broadcast (message: PreparedMessage, topic: string): void
  notify (message: SystemMessage): boolean
}

/** Subscriptions, publications and presence, as connections use them. */
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
 * A data message on a route with a `guard`. One letter for the guard and the callback of the
 * message, so that nothing runs between them: it is delivered again when the guard lets it pass.
 */
export interface GuardedMessage extends Letter {
  readonly type: 'guarded'
  readonly data: string | Buffer
  /** `read`: to be decoded; `guard`: its guard runs; `callback`: it has passed. */
  step: 'read' | 'guard' | 'callback'
  /** Decoded and validated. */
  message: unknown
}

/** What all connections of a route share. */
export interface RouteContext {
  readonly url: string
  /** The instance that the route was declared on. */
  readonly server: FastifyInstance
  /** Mistakes that have been logged for this route. */
  readonly warned: Set<Mistake>
  readonly handler: AnyHandler
  readonly limits: ConnectionLimits
  /** Decodes and validates one data message and calls the callback that it is for. */
  readonly receive: (data: string | Buffer, state: unknown, ws: AnyContext) => unknown
  /**
   * In place of `receive` on a route with a `guard`: first decodes, validates and calls the guard,
   * then, for a message that passed, the callback.
   */
  readonly receiveGuarded:
    ((letter: GuardedMessage, state: unknown, ws: AnyContext) => unknown) | undefined
  /** Turns a message into its frame; throws when it cannot be sent. */
  readonly encode: (message: unknown) => OutgoingFrame
  /** Encodes a message for many connections. */
  readonly prepare: (message: unknown) => PreparedMessage
  /**
   * Validates an info from another node and returns what to post. Throws when it does not match
   * the schema.
   */
  readonly checkInfo: ((info: unknown) => unknown) | undefined
  readonly topics: Topics
  /** The write batcher and the event loop tasks, which all connections of the app share. */
  readonly sharing: WriteSharing
  readonly telemetry: RouteTelemetry
  /** Called once for each, when its socket is closed. */
  readonly onSocketClosed: (connection: ConnectionOptions) => void
  /** Called once for each, when its `terminate` has settled and its socket is closed. */
  readonly onGone: (connection: ConnectionOptions) => void
}

/** What is specific to one connection. */
export interface ConnectionOptions {
  readonly id: string
  readonly log: FastifyBaseLogger
  readonly socket: Duplex
  readonly subprotocol: string | null
  /** Where permessage-deflate was agreed on: the window that we compress with. */
  readonly windowBits: number | undefined
  /** The key that `maxConnectionsPerKey` counts it under, where that option is set. */
  readonly key: string | undefined
}
