import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { PingFrame, RawMessage } from '../wire/frame.ts'
import type { Ref } from './ref.ts'
import type { CloseDetail, Ok, Push, Stop, StopReason } from './result.ts'
import type { Task } from './tasks.ts'
import type { Timer } from './timers.ts'
import type { Topic } from './topic.ts'

/**
 * The messages that a route without a `send` schema may send: a string as text, bytes as binary, or
 * a message as it was received.
 */
export type RawSend = string | Uint8Array | RawMessage

/**
 * One message, or a list of messages to send in order. Only the list is allowed when a message may
 * itself be an array.
 */
export type Messages<Send> =
  | ReadonlyArray<Send | PingFrame>
  | (Send extends readonly unknown[] ? never : Send)
  | (PingFrame & PingOf<Send>)

// TypeScript reports a wrong message against the first type of that union. TypeScript 6 orders the
// types by age: because this one is generic, it is younger than Send. TypeScript 7 orders them by
// kind: an intersection comes after objects.
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- see above
interface PingOf<Send> { readonly opcode: 'ping' }

interface BaseContext<in Send, in Info> {
  /** Unique in this process and, by its prefix, across processes. The same as `ref.address`. */
  readonly id: string
  /** A reference to this connection, through which others post infos to it. */
  readonly ref: Ref<Info>
  /** The Fastify instance of the route, for `ws.server.websock` and decorators. */
  readonly server: FastifyInstance
  /** A child of the request's logger, with the id of the connection. */
  readonly log: FastifyBaseLogger
  /** Aborted when the connection begins to end. */
  readonly signal: AbortSignal
  /** The subprotocol agreed on in the handshake, or null. */
  readonly subprotocol: string | null
  /** Bytes that wait to be sent: the operating system has not taken them yet. */
  readonly bufferedBytes: number
  /** Infos refused so far because the mailbox was full (`infoOverflow: 'drop'`). */
  readonly droppedInfos: number
  /** Messages dropped so far because the client reads too slowly (`slowPeer: 'drop'`). */
  readonly droppedMessages: number
  /**
   * Sends one message, or a list in order, at once. Works in callbacks, timers and tasks while the
   * connection is open. Checks and serializes messages like `push`. The messages of the callback's
   * result follow later.
   *
   * True: sent or queued. False: the connection is closing, or the client reads too slowly
   * (`slowPeer`). Never throws: an unsendable message is logged, and ends the connection with 1011.
   */
  readonly send: (messages: Messages<Send>) => boolean
  /**
   * Waits until the client has read enough. Resolves with true when at most half of
   * `maxBufferedBytes` waits to be sent, usually at once. Resolves with false when the connection
   * ends before that.
   */
  readonly drained: () => Promise<boolean>
  /**
   * Ends the connection, like `ws.stop('normal', [code, reason])`. `code`: 1000–1003, 1007–1014
   * or 3000–4999, 1000 by default. `reason`: at most 123 bytes.
   *
   * Messages from before the call are sent before the close frame. The result of the running
   * callback is not sent any more. Never throws: an invalid code or reason ends the connection with
   * 1011.
   */
  readonly close: (code?: number, reason?: string) => void
  /**
   * Starts a task that runs beside the callbacks, for streams, files and long queries.
   *
   * `cancel()` of the returned task aborts `signal`, and so does the end of the connection.
   * `terminate` then waits for the task, for at most `terminateTimeoutMs`. A rejection is logged,
   * and ends the connection with 1011, except an AbortError or `signal.reason` after the abort. No
   * task starts once the connection has begun to end.
   */
  readonly run: (task: (signal: AbortSignal) => unknown) => Task
  /**
   * Posts an info to this connection's own mailbox, behind the frames that were read in the same
   * turn. False when the connection has ended or the mailbox is full.
   */
  readonly post: (info: Info) => boolean
  /**
   * Posts an info once, after `ms` (0 to 2 147 483 647) milliseconds. The timer ends with the
   * connection, and never keeps the process alive.
   */
  readonly postAfter: (info: Info, ms: number) => Timer
  /**
   * Posts an info each `ms` (1 to 2 147 483 647) milliseconds. At most one info of each interval
   * waits in the mailbox: further ticks are skipped meanwhile. As with Node's `setInterval`, the
   * delays of single ticks add up.
   */
  readonly postInterval: (info: Info, ms: number) => Timer
  /**
   * Subscribes to a topic (1 to 1 024 characters): publications arrive as infos, and broadcasts are
   * sent to the client. Idempotent; ends with the connection. Throws FST_WEBSOCK_INVALID_TOPIC.
   *
   * Broadcasts on the topic wait until the result of the running callback has been sent, so that a
   * snapshot in the result is sent first. A change that is both in the snapshot and broadcast
   * meanwhile is sent twice.
   */
  readonly subscribe: (topic: string | Topic<Send, Info>) => void
  readonly unsubscribe: (topic: string | Topic) => void
  /**
   * Waits until publications of other nodes on this topic arrive. Resolves with true; at once
   * without an engine. Resolves with false when this connection is not subscribed, or ends or
   * unsubscribes before. Rejects with FST_WEBSOCK_INVALID_TOPIC.
   *
   * Does not settle while the broker is away: bound the wait in `init`, whose `initTimeoutMs` ends
   * the connection with 1011, and read again in `handleGap`.
   */
  readonly subscriptionReady: (topic: string | Topic) => Promise<boolean>
  /** Sends a message to the clients of all other subscribers, like `app.websock.broadcast`. */
  readonly broadcast: <Message>(topic: string | Topic<Message>, message: NoInfer<Message>) => void
  /** Posts an info to all other subscribers, like `app.websock.publish`. */
  readonly publish: <Published>(
    topic: string | Topic<unknown, Published>,
    info: NoInfer<Published>
  ) => void
  /**
   * Adds a presence entry of this connection to a topic, until it ends. `key`: 1 to 1 024
   * characters. `meta`: JSON of at most 8 KiB and 64 levels; tracking a key again replaces it.
   * Subscribers of the topic on all nodes are notified. Throws FST_WEBSOCK_UNTRACKABLE,
   * FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly track: (topic: string | Topic, key: string, meta?: unknown) => void
  readonly untrack: (topic: string | Topic, key: string) => void
  /**
   * Pauses reading of the socket, like Cowboy's `{active, false}`. Messages that were read before
   * are still delivered. Nothing else is, not even the peer's close.
   */
  readonly pause: () => void
  readonly resume: () => void
}

/** The `ws` argument of `init`. The type of the state is inferred from its results. */
export interface InitContext<in Send, in Info> extends BaseContext<Send, Info> {
  readonly ok: <State>(state: State) => Ok<State>
  readonly push: {
    (messages: Messages<Send>): Push<never>
    <State>(messages: Messages<Send>, state: State): Push<State>
  }
  /** Stops the connection. Without `state`, `terminate` receives an undefined state. */
  readonly stop: {
    (reason?: StopReason, detail?: CloseDetail, messages?: Messages<Send>): Stop<never>
    <State>(
      reason: StopReason,
      detail: CloseDetail | undefined,
      messages: Messages<Send> | undefined,
      state: State
    ): Stop<State>
  }
}

/**
 * The `ws` argument of all other callbacks. Without `state`, or with undefined, a result leaves the
 * state unchanged.
 */
export interface Context<in Send, in Info, in out State> extends BaseContext<Send, Info> {
  readonly ok: (state?: State) => Ok<State>
  readonly push: (messages: Messages<Send>, state?: State) => Push<State>
  readonly stop: (
    reason?: StopReason,
    detail?: CloseDetail,
    messages?: Messages<Send>,
    state?: State
  ) => Stop<State>
}

/** The context of a callback with its types erased. */
export type AnyContext = Context<unknown, unknown, unknown>
