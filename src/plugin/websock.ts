import type { FastifyError, FastifyRequest } from 'fastify'
import type { Ref } from '../connection/ref.ts'
import type { PresenceEntry } from '../connection/system-message.ts'
import type { Topic } from '../connection/topic.ts'
import type { TopicListener } from '../pubsub/listener.ts'
import type { WebsockStats } from '../telemetry/stats.ts'
import type { WebsocketConnections } from './connections.ts'
import type { DrainOptions } from './options.ts'

/** The type of `app.websock`. */
export interface Websock {
  /**
   * Returns the ref of an address that `ref.address` gave. Its `post` returns false when that
   * connection has ended. Throws FST_WEBSOCK_INVALID_ADDRESS.
   */
  readonly ref: <Info = unknown>(address: string) => Ref<Info>
  /**
   * The open connections of this process: `size`, `countByRoute()`, and `for (const { id, route,
   * ref } of app.websock.connections)`.
   */
  readonly connections: WebsocketConnections
  /**
   * Returns the counts of this process, by route, and the connections with paused reading, a slow
   * client, or many waiting letters. Takes less than 1 ms with 10 000 connections.
   */
  readonly stats: () => WebsockStats
  /**
   * Subscribes a listener of the application, without a connection, to a topic. Calls `handleInfo`
   * for publications, `handlePresence` and `handleGap`.
   *
   * A publication of this process calls `handleInfo` within the call of `publish`. When a listener
   * publishes, that listener returns first. Errors are logged. Throws FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscribe: <Info = unknown>(
    topic: string | Topic<unknown, Info>,
    listener: TopicListener<Info>
  ) => void
  readonly unsubscribe: (topic: string | Topic, listener: TopicListener<never>) => void
  /**
   * Resolves with true when publications of other nodes on this topic arrive in this process.
   * Without an engine it resolves at once. Resolves with false when this process has no
   * subscription to the topic, or when the last one ends before. Rejects with
   * FST_WEBSOCK_INVALID_TOPIC. Does not settle while the broker is away.
   */
  readonly subscriptionReady: (topic: string | Topic) => Promise<boolean>
  /**
   * Tracks this process on a topic, as `ws.track` tracks a connection. Throws
   * FST_WEBSOCK_UNTRACKABLE, FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly track: (topic: string | Topic, key: string, meta?: unknown) => void
  readonly untrack: (topic: string | Topic, key: string) => void
  /**
   * Returns the presence entries of a topic on all nodes, as far as this node knows. The entries of
   * a node that died are removed after 3 to 4 seconds of silence.
   */
  readonly presence: (topic: string | Topic) => PresenceEntry[]
  /**
   * Tells whether the engine is connected and has subscribed to all topics of this process. Always
   * true without an engine.
   */
  readonly ready: () => boolean
  /**
   * The number of publications that were not sent to the other nodes, because the engine was not
   * connected or was too slow.
   */
  readonly lostPublications: number
  /**
   * Puts an info into the mailbox of each subscriber of the topic, except `except`. Throws
   * FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly publish: <Info = unknown>(
    topic: string | Topic<unknown, Info>,
    info: NoInfer<Info>,
    options?: PublishOptions
  ) => void
  /**
   * Sends a message to the client of each subscriber, without calling a handler. The message is
   * encoded once for each route, by its `send` schema and codec. Throws FST_WEBSOCK_INVALID_TOPIC,
   * and FST_WEBSOCK_UNSENDABLE when a route cannot encode the message.
   */
  readonly broadcast: <Message = unknown>(
    topic: string | Topic<Message>,
    message: NoInfer<Message>,
    options?: PublishOptions
  ) => void
  /**
   * Ends all connections in batches and refuses upgrades with 503 from now on. The defaults are the
   * plugin's `drain` options. A running callback and `handleDrain` finish before the close frame,
   * within `terminateTimeoutMs`. Resolves with the number of connections that were destroyed after
   * `timeoutMs`: 0 is a clean drain.
   */
  readonly drain: (options?: DrainOptions) => Promise<number>
  /**
   * Runs the checks of an upgrade without upgrading: handshake, origin, limits, subprotocol.
   * Resolves with null, or with the error that an upgrade would get: `statusCode`, and perhaps
   * `headers`. Hooks and schemas do not run. Uses the `websocketOptions` of a websocket route, and
   * on other routes the options of the plugin.
   */
  readonly validateUpgrade: (request: FastifyRequest) => Promise<FastifyError | null>
}

export interface PublishOptions {
  /** The connection to leave out, by its ref or address. */
  readonly except?: Ref<never> | string
}
