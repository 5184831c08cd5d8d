import type { FastifyError, FastifyRequest } from 'fastify'
import type { Ref } from '../connection/ref.ts'
import type { PresenceEntry } from '../connection/system-message.ts'
import type { Topic } from '../connection/topic.ts'
import type { TopicListener } from '../pubsub/listener.ts'
import type { WebsockStats } from '../telemetry/stats.ts'
import type { WebsocketConnections } from './connections.ts'
import type { DrainOptions } from './options.ts'

/** `app.websock` */
export interface Websock {
  /**
   * A ref from an address that `ref.address` gave. Its `post` answers false when that connection
   * has ended. Throws FST_WEBSOCK_INVALID_ADDRESS.
   */
  readonly ref: <Info = unknown>(address: string) => Ref<Info>
  /**
   * The open connections of this process: `size`, `countByRoute()`, and `for (const { id, route,
   * ref } of app.websock.connections)`.
   */
  readonly connections: WebsocketConnections
  /**
   * What has been counted in this process, by route, and connections that are held, slow, or have
   * many letters to handle. Takes less than 1 ms with 10 000 connections.
   */
  readonly stats: () => WebsockStats
  /**
   * Calls the listener, which is no connection, for what concerns a topic: `handleInfo` for
   * publications, at once and in the publisher's own call when that is here, unless that is a
   * listener's itself, which ends first; `handlePresence`, `handleGap`. Errors are logged. Throws
   * FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscribe: <Info = unknown>(
    topic: string | Topic<unknown, Info>,
    listener: TopicListener<Info>
  ) => void
  readonly unsubscribe: (topic: string | Topic, listener: TopicListener<never>) => void
  /**
   * Resolves with true when publications of other nodes on this topic arrive here: at once without
   * an engine. Resolves with false when nobody here is subscribed, or the last subscription ends
   * before. Rejects with FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscriptionReady: (topic: string | Topic) => Promise<boolean>
  /**
   * Makes this process itself present on a topic, as `ws.track` does a connection. Throws
   * FST_WEBSOCK_UNTRACKABLE, FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly track: (topic: string | Topic, key: string, meta?: unknown) => void
  readonly untrack: (topic: string | Topic, key: string) => void
  /**
   * Who is tracked on that topic, on all nodes, as far as this one knows: a node that died is here
   * for up to 4 seconds more.
   */
  readonly presence: (topic: string | Topic) => PresenceEntry[]
  /**
   * Tells whether the engine is connected and subscribed to all that is wanted here. Always true
   * without an engine.
   */
  readonly ready: () => boolean
  /**
   * Publications that did not reach the other nodes, because the engine was not connected, or did
   * not keep up.
   */
  readonly lostPublications: number
  /**
   * An info for the mailbox of each subscriber of that topic, but for `except`. Throws
   * FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly publish: <Info = unknown>(
    topic: string | Topic<unknown, Info>,
    info: NoInfer<Info>,
    options?: PublishOptions
  ) => void
  /**
   * A message straight to the socket of each subscriber, with no handler in between: encoded once
   * for each route that they are of, by its `send` schema and codec. Throws
   * FST_WEBSOCK_INVALID_TOPIC, and FST_WEBSOCK_UNSENDABLE when one of these cannot write it.
   */
  readonly broadcast: <Message = unknown>(
    topic: string | Topic<Message>,
    message: NoInfer<Message>,
    options?: PublishOptions
  ) => void
  /**
   * Ends all connections in batches and refuses upgrades with 503 from now on. Options that are
   * left out are those of the plugin's `drain`. Resolves with the number of connections that had to
   * be destroyed when `timeoutMs` was over; 0 is a clean drain.
   */
  readonly drain: (options?: DrainOptions) => Promise<number>
  /**
   * The verdict that an upgrade of this request would get, without upgrading: handshake, origin,
   * limits, subprotocol. Resolves with null, or with the error that would be answered:
   * `statusCode`, and `headers` where it has some. Hooks and schemas have no part in it. On a route
   * of its own the route's `websocketOptions` count, elsewhere the plugin's.
   */
  readonly validateUpgrade: (request: FastifyRequest) => Promise<FastifyError | null>
}

export interface PublishOptions {
  /** The connection to leave out, by its ref or address. */
  readonly except?: Ref<never> | string
}
