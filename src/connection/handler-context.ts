import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { PingFrame, RawMessage } from '../wire/frame.ts'
import type { Ref } from './ref.ts'
import type { CloseDetail, Ok, Push, Stop, StopReason } from './result.ts'
import type { Task } from './tasks.ts'
import type { Timer } from './timers.ts'
import type { Topic } from './topic.ts'

/**
 * What a route without a `send` schema may send: a string as text, bytes as binary, or a message as
 * it came.
 */
export type RawSend = string | Uint8Array | RawMessage

/**
 * One message, or a list that is sent in order. When a message can itself be an array, only the
 * list form.
 */
export type Messages<Send> =
  | ReadonlyArray<Send | PingFrame>
  | (Send extends readonly unknown[] ? never : Send)
  | PingOf<Send>

// TypeScript reports a wrong message against the oldest type of that union. Because this one is
// generic, it is younger than Send.
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- see above
interface PingOf<Send> extends PingFrame {}

interface BaseContext<in Send, in Info> {
  /** Unique in this process and, by its prefix, across processes. The same as `ref.address`. */
  readonly id: string
  /** This connection's address, for others to post infos to. */
  readonly ref: Ref<Info>
  /**
   * The Fastify instance that the route was declared on: `ws.server.websock`, and what is decorated
   * there.
   */
  readonly server: FastifyInstance
  /** A child of the request's logger that carries the id. */
  readonly log: FastifyBaseLogger
  /** Aborted when the connection begins to end. */
  readonly signal: AbortSignal
  /** The subprotocol agreed on in the handshake, or null. */
  readonly subprotocol: string | null
  /** Bytes handed over for sending that the socket has not taken yet. */
  readonly bufferedBytes: number
  /** Infos refused so far because the mailbox was full (`infoOverflow: 'drop'`). */
  readonly droppedInfos: number
  /** Messages left out so far because the client reads too slowly (`slowPeer: 'drop'`). */
  readonly droppedMessages: number
  /**
   * Sends one message, or a list in its order, at once: from a callback, a timer or a task, as long
   * as the connection lives. Checked and serialized as by `push`; the messages of a callback's
   * result follow behind.
   *
   * True: sent, or it waits in the send queue. False: the connection is closing, or the client
   * reads too slowly (`slowPeer`). Never throws: what cannot be sent is logged, and ends the
   * connection 1011.
   */
  readonly send: (messages: Messages<Send>) => boolean
  /**
   * Resolves with true when at most half of `maxBufferedBytes` waits to be sent: at once, most
   * often. Resolves with false when the connection ends before.
   */
  readonly drained: () => Promise<boolean>
  /**
   * Ends the connection, as `ws.stop('normal', [code, reason])` does: code 1000 unless another one
   * is given (1000–1003, 1007–1014, 3000–4999), a reason of at most 123 bytes. What was sent before
   * leaves before the close frame; what the running callback returns is not sent any more. Never
   * throws: what no close frame can hold ends the connection 1011.
   */
  readonly close: (code?: number, reason?: string) => void
  /**
   * Starts a task beside the mailbox, for streams, files and long queries: callbacks go on
   * meanwhile. `signal` is aborted by `cancel()` of what is returned, and when the connection
   * begins to end; `terminate` then waits for the task, for at most `terminateTimeoutMs`. A
   * rejection is logged, and ends the connection 1011; not one with an AbortError, or by
   * `signal.reason`, once the signal is aborted. Once the connection has begun to end, no task is
   * started.
   */
  readonly run: (task: (signal: AbortSignal) => unknown) => Task
  /**
   * Puts an info into this connection's own mailbox, behind the frames that were read together with
   * the one being handled. False when the connection has ended or the mailbox is full.
   */
  readonly post: (info: Info) => boolean
  /**
   * The same after `ms` (0 to 2 147 483 647) milliseconds, once. Ends with the connection; never
   * keeps the process alive.
   */
  readonly postAfter: (info: Info, ms: number) => Timer
  /**
   * The same each `ms` (1 to 2 147 483 647) milliseconds. Of each interval at most one tick waits
   * in the mailbox: while it does, no other is put there. As with Node's `setInterval`, delays of
   * single ticks add up.
   */
  readonly postInterval: (info: Info, ms: number) => Timer
  /**
   * From now on publications on this topic (1 to 1 024 characters) arrive as infos, and broadcasts
   * at the client. In a callback: broadcasts on it wait until the result of that callback has been
   * sent, so that a snapshot in the result comes first; a change that is loaded and broadcast
   * meanwhile comes twice. Idempotent; ends with the connection. Throws FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscribe: (topic: string | Topic<Send, Info>) => void
  readonly unsubscribe: (topic: string | Topic) => void
  /**
   * Resolves with true when publications of other nodes on this topic arrive: at once without an
   * engine. Resolves with false when this connection is not subscribed, or ends or unsubscribes
   * before. Rejects with FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscriptionReady: (topic: string | Topic) => Promise<boolean>
  /**
   * As `app.websock.broadcast`, to all other subscribers: a message straight to their clients.
   */
  readonly broadcast: <Message>(topic: string | Topic<Message>, message: NoInfer<Message>) => void
  /** As `app.websock.publish`, to all other subscribers: an info for their `handleInfo`. */
  readonly publish: <Published>(
    topic: string | Topic<unknown, Published>,
    info: NoInfer<Published>
  ) => void
  /**
   * Makes this connection present on that topic under a key of 1 to 1 024 characters, until it
   * ends. `meta` is JSON of up to 8 KiB and 64 levels; tracking a key again replaces it.
   * Subscribers of the topic on all nodes are notified. Throws FST_WEBSOCK_UNTRACKABLE,
   * FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly track: (topic: string | Topic, key: string, meta?: unknown) => void
  readonly untrack: (topic: string | Topic, key: string) => void
  /**
   * Stops reading the socket, as Cowboy's `{active, false}` does. Messages that were read before
   * are still delivered; nothing else is, not even the peer's close.
   */
  readonly pause: () => void
  readonly resume: () => void
}

/** What `init` is given beside its arguments: here the state gets its type. */
export interface InitContext<in Send, in Info> extends BaseContext<Send, Info> {
  readonly ok: <State>(state: State) => Ok<State>
  readonly push: {
    (messages: Messages<Send>): Push<never>
    <State>(messages: Messages<Send>, state: State): Push<State>
  }
  /** `terminate` is called with an undefined state unless one is given here. */
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
 * What every other callback is given. A state left out, or undefined, leaves the state as it is.
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

/** The context of a callback once its types have done their work. */
export type AnyContext = Context<unknown, unknown, unknown>
