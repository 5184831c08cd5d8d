import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import type { ControlFrame, PingFrame, RawMessage } from '../wire/frame.ts'
import type { Ok, Push, Result, Stop } from './result.ts'
import type { Ref } from './ref.ts'
import type { Task } from './tasks.ts'
import type { Timer } from './timers.ts'
import type { Topic } from './topic.ts'

export type Awaitable<T> = T | PromiseLike<T>

/**
 * What each callback but `terminate` may return: nothing (state unchanged, nothing sent) or a
 * result.
 */
export type CallbackResult<State> = Awaitable<Result<State> | void>

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

/** `normal` closes 1000, `restart` closes 1012, an error closes 1011. */
export type StopReason = 'normal' | 'restart' | Error

/** A close code (1000–1003, 1007–1014, 3000–4999), or that and a reason of at most 123 bytes. */
export type CloseDetail = number | readonly [code: number, reason: string]

/**
 * Why a connection ended. `code` is the close code that went, or came, over the wire (1005 none,
 * 1006 no close frame).
 */
export type TerminateReason =
  | { readonly type: 'normal' }
  | { readonly type: 'remote', readonly code: number, readonly reason: string }
  | { readonly type: 'shutdown' }
  | { readonly type: 'timeout' }
  | { readonly type: 'error', readonly error: unknown, readonly code: number }

/**
 * A message that could not be taken: `code` is the close code that answers it when there is no
 * `handleInvalid`.
 */
export interface InvalidMessage {
  /**
   * `opcode`: text where the codec reads binary, or the other way; `undecodable`: no message;
   * `mismatch`: not in the schema
   */
  readonly kind: 'opcode' | 'undecodable' | 'mismatch'
  readonly code: 1007 | 1008
  readonly error: Error
  readonly frame: RawMessage
  /** What a `mismatch` was decoded to: anything that the codec can give. */
  readonly message?: unknown
}

/** What `handleDrain` is given. */
export interface DrainInfo {
  /**
   * Milliseconds until connections that are left will be cut. This one may be closed at any time
   * before.
   */
  readonly timeoutMs: number
}

/** What `handleGap` is given: publications of other nodes were lost. */
export interface GapInfo {
  /**
   * For how many milliseconds, at least: since the last proof that all arrives. All topics of this
   * connection are in force again: what is read from a database now misses nothing.
   */
  readonly ms: number
}

/** Somebody who is tracked. */
export interface PresenceEntry {
  /** As whom: several connections may have one key. */
  readonly key: string
  /** What `track` was given, as JSON has it. */
  readonly meta: unknown
  /** Of its connection, for `app.websock.ref`. */
  readonly address: string
}

/**
 * What `handlePresence` is given: who came to and left a topic. Another meta is a leave and a join
 * in one.
 */
export interface PresenceDiff {
  readonly topic: string
  readonly joins: readonly PresenceEntry[]
  readonly leaves: readonly PresenceEntry[]
}

/**
 * What the library has to tell: each kind has a callback of its own, so that the route's infos have
 * the types that it gave them.
 */
export type SystemMessage =
  | { readonly type: 'drain', readonly info: DrainInfo }
  | { readonly type: 'gap', readonly info: GapInfo }
  | { readonly type: 'presence', readonly info: PresenceDiff }

export interface InitArgs<out Params, out Query, out Headers> {
  readonly params: Params
  readonly query: Query
  readonly headers: Headers
  /** Not kept after `init`: take from it what the state needs. */
  readonly request: FastifyRequest
}

declare const kNothing: unique symbol

/**
 * The state where no `init` above the callback returns one; undefined at run time.
 *
 * TypeScript infers the state from `init`, and reads a literal from top to bottom: write `init`
 * first.
 */
export interface NoStateFromInitAbove {
  readonly [kNothing]?: never
}

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
   * in the mailbox: while it does, no other is put there.
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
   * `app.websock.broadcast` to everybody else on that topic: a message straight to their clients.
   */
  readonly broadcast: <Message>(topic: string | Topic<Message>, message: NoInfer<Message>) => void
  /** `app.websock.publish` to everybody else on that topic: an info for their `handleInfo`. */
  readonly publish: <Published>(
    topic: string | Topic<unknown, Published>,
    info: NoInfer<Published>
  ) => void
  /**
   * Makes this connection present on that topic under a key of 1 to 1 024 characters, until it
   * ends; again is another meta (JSON of up to 8 KiB and 64 levels). Subscribers of the topic are
   * told, on all nodes. Throws FST_WEBSOCK_UNTRACKABLE, FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly track: (topic: string | Topic, key: string, meta?: unknown) => void
  readonly untrack: (topic: string | Topic, key: string) => void
  /**
   * Stops reading the socket (Cowboy's `{active, false}`): what was read already is still
   * delivered, nothing more, also no close.
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

export type Callback<In, Send, Info, State> = (
  input: NoInfer<In>,
  state: State,
  ws: NoInfer<Context<Send, Info, State>>
) => CallbackResult<NoInfer<State>>

/**
 * What `init` may return. Anything, where the state was inferred before: one error, at the callback
 * above, is enough.
 */
export type InitResult<State> = [State, NoStateFromInitAbove] extends [NoStateFromInitAbove, State]
  ? Awaitable<Result<unknown> | void>
  : CallbackResult<State>

type Discriminant<U> = RawMessage extends U
  ? never
  : {
      [K in keyof U & string]: U[K] extends string ? (string extends U[K] ? never : K) : never
    }[keyof U & string]
type Member<U, K extends PropertyKey, V> = U extends { [P in K]: infer X }
  ? V extends X
    ? U
    : never
  : never

/**
 * `{ event: { say (message, state, ws) {} } }`: by a field that has a literal string in each member
 * of the union.
 *
 * For a route with a `handleIn`, which is called for what has no callback here.
 */
export type EventMap<Receive, Send, Info, State> = {
  readonly [K in Field<Receive>]?: {
    readonly [V in Receive[K & keyof Receive] & string]?: Callback<
      Member<Receive, K, V>,
      Send,
      Info,
      State
    >
  }
}

/**
 * The same without a `handleIn`: each field that is named has a callback for each of its values.
 */
export type FullEventMap<Receive, Send, Info, State> = {
  readonly [K in Field<Receive>]?: {
    readonly [V in Receive[K & keyof Receive] & string]: Callback<
      Member<Receive, K, V>,
      Send,
      Info,
      State
    >
  }
}

// Where no field tells messages apart, the maps above would be `{}` without this, which takes any
// object.
type Field<Receive> = Discriminant<Receive> | typeof kNothing

/**
 * One connection's behaviour. All callbacks are optional, sync or async; one runs at a time, in the
 * order of the mailbox. What the route may receive is handled: by `handleIn`, or by `on` for each
 * message of the `receive` schema.
 *
 * A throw, a rejection or an invalid result closes this connection 1011 and touches no other.
 */
// In this order: an error text tells of the last one.
export type WebsocketHandlerObject<Params, Query, Headers, Receive, Send, Info, State> =
  | HandlerWithHandleIn<Params, Query, Headers, Receive, Send, Info, State>
  | HandlerWithOn<Params, Query, Headers, Receive, Send, Info, State>

interface HandlerWithHandleIn<Params, Query, Headers, Receive, Send, Info, State>
  extends Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /** In place of `handleIn` for a message whose discriminating field has that value. */
  readonly on?: EventMap<Receive, Send, Info, State>
  /** Once per whole data message. */
  readonly handleIn: Callback<Receive, Send, Info, State>
}

interface HandlerWithOn<Params, Query, Headers, Receive, Send, Info, State>
  extends Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /** Called for a message by the value of its discriminating field: one callback for each value. */
  readonly on?: FullEventMap<Receive, Send, Info, State>
  readonly handleIn?: never
}

// Plain type parameters and property syntax, so that TypeScript measures the variance of each
// exactly.
interface Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /**
   * Once, right after the 101, before anything else. Write it first: the state has the type that is
   * returned here.
   */
  readonly init?: (
    args: NoInfer<InitArgs<Params, Query, Headers>>, ws: NoInfer<InitContext<Send, Info>>
  ) => InitResult<State>
  /**
   * Before the callback of each valid message. Nothing or `ws.ok(state)`: the callback is called,
   * with that state. `ws.push` or `ws.stop`: that is the answer, and the callback is not called.
   */
  readonly guard?: Callback<Receive, Send, Info, State>
  /** A message that could not be taken. Without it the connection is closed 1007 or 1008. */
  readonly handleInvalid?: Callback<InvalidMessage, Send, Info, State>
  /** A ping or pong was seen; the pong to a ping has been sent already. */
  readonly handleControl?: Callback<ControlFrame, Send, Info, State>
  /** One info from a timer, a ref or a topic. */
  readonly handleInfo?: Callback<Info, Send, Info, State>
  /** The server will end the connection soon: last words, or a `stop` of its own. */
  readonly handleDrain?: Callback<DrainInfo, Send, Info, State>
  /**
   * Other nodes' publications were lost for a while, and arrive again: what depends on them is to
   * be read anew.
   */
  readonly handleGap?: Callback<GapInfo, Send, Info, State>
  /** Who came to and left a topic that this connection is subscribed to, on any node. */
  readonly handlePresence?: Callback<PresenceDiff, Send, Info, State>
  /** Exactly once for each connection whose `init` returned. Has `terminateTimeoutMs` to settle. */
  readonly terminate?: (
    reason: TerminateReason, state: State, ws: NoInfer<Context<Send, Info, State>>
  ) => Awaitable<void>
}

/**
 * The types of one route, spelled as in Fastify's own generics: `app.get<{ Params, Receive,
 * Send, State }>`.
 */
export interface WebsocketTypes {
  Params?: unknown
  Querystring?: unknown
  Headers?: unknown
  Receive?: unknown
  Send?: unknown
  Info?: unknown
  State?: unknown
}

type Get<T, K extends PropertyKey, D> = T extends { [P in K]: infer X } ? X : D

/** A handler by its types: `WebsocketHandler<{ Receive: In, Send: Out, State: { n: number } }>`. */
export type WebsocketHandler<T extends WebsocketTypes = {}> = WebsocketHandlerObject<
  Get<T, 'Params', unknown>, Get<T, 'Querystring', unknown>, Get<T, 'Headers', IncomingHttpHeaders>,
  Get<T, 'Receive', RawMessage>, Get<T, 'Send', RawSend>, Get<T, 'Info', unknown>,
  Get<T, 'State', NoStateFromInitAbove>>

/** A handler once its types have done their work. */
export type AnyHandler = WebsocketHandlerObject<
  unknown,
  unknown,
  unknown,
  Record<string, string>,
  unknown,
  unknown,
  unknown
>
