import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { ControlFrame, RawMessage } from '../wire/frame.ts'
import type { Context, InitContext, RawSend } from './handler-context.ts'
import type { Awaitable, CallbackResult, Result, TerminateReason } from './result.ts'
import type { DrainInfo, GapInfo, PresenceDiff } from './system-message.ts'

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
  /** The server will end the connection soon. The handler may send a message, or stop. */
  readonly handleDrain?: Callback<DrainInfo, Send, Info, State>
  /**
   * Publications of other nodes were lost and arrive again. Reload what depends on them.
   */
  readonly handleGap?: Callback<GapInfo, Send, Info, State>
  /** Presence has changed on a topic that this connection is subscribed to, on any node. */
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
