import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { ControlFrame, RawMessage } from '../wire/frame.ts'
import type { Context, InitContext, RawSend } from './handler-context.ts'
import type { Awaitable, CallbackResult, Result, TerminateReason } from './result.ts'
import type { DrainInfo, GapInfo, PresenceDiff } from './system-message.ts'

/** An invalid message. `code`: the close code that answers it when there is no `handleInvalid`. */
export interface InvalidMessage {
  /**
   * `opcode`: a text message for a binary codec, or the reverse. `undecodable`: the codec cannot
   * decode it. `mismatch`: it does not match the schema.
   */
  readonly kind: 'opcode' | 'undecodable' | 'mismatch'
  readonly code: 1007 | 1008
  readonly error: Error
  readonly frame: RawMessage
  /** The decoded message of a `mismatch`: any value that the codec can return. */
  readonly message?: unknown
}

export interface InitArgs<out Params, out Query, out Headers> {
  readonly params: Params
  readonly query: Query
  readonly headers: Headers
  /** Released after `init`: copy the parts that the state needs. */
  readonly request: FastifyRequest
}

declare const kNothing: unique symbol

/**
 * The state of a callback when no `init` above it returns one; undefined at run time.
 *
 * TypeScript infers the state from `init`, and reads an object literal from top to bottom: write
 * `init` first.
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
 * The result type of `init`. When TypeScript has inferred the state from an earlier callback, it is
 * any result: the error at that callback is enough.
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
 * Callbacks by the value of a discriminating field, which has a literal string in each member of
 * the union: `{ event: { say (message, state, ws) {} } }`.
 *
 * For a route with a `handleIn`, which is called for messages without a callback here.
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
 * The same for a route without a `handleIn`: each named field has a callback for each of its
 * values.
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

// `kNothing`: without a discriminating field the maps above would be `{}`, which accepts any
// object.
type Field<Receive> = Discriminant<Receive> | typeof kNothing

/**
 * The callbacks of a route, called for each connection. All are optional, sync or async. They run
 * one at a time, in the order of the mailbox. Each message that the route may receive is handled:
 * by `handleIn`, or by `on` for each message of the `receive` schema.
 *
 * A throw, a rejection or an invalid result closes this connection with 1011 and affects no other.
 */
// The order matters: TypeScript's error refers to the last member.
export type WebsocketHandlerObject<Params, Query, Headers, Receive, Send, Info, State> =
  | HandlerWithHandleIn<Params, Query, Headers, Receive, Send, Info, State>
  | HandlerWithOn<Params, Query, Headers, Receive, Send, Info, State>

interface HandlerWithHandleIn<Params, Query, Headers, Receive, Send, Info, State>
  extends Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /** Called instead of `handleIn` for a message whose discriminating field has that value. */
  readonly on?: EventMap<Receive, Send, Info, State>
  /** Called once for each complete data message. */
  readonly handleIn: Callback<Receive, Send, Info, State>
}

interface HandlerWithOn<Params, Query, Headers, Receive, Send, Info, State>
  extends Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /**
   * Called for a message by the value of its discriminating field, with one callback for each
   * value.
   */
  readonly on?: FullEventMap<Receive, Send, Info, State>
  readonly handleIn?: never
}

// Plain type parameters and property syntax, so that TypeScript measures the variance of each
// exactly.
interface Callbacks<Params, Query, Headers, Receive, Send, Info, State> {
  /**
   * Called once, right after the 101, before all other callbacks. Write it first: the state has the
   * type that `init` returns.
   */
  readonly init?: (
    args: NoInfer<InitArgs<Params, Query, Headers>>, ws: NoInfer<InitContext<Send, Info>>
  ) => InitResult<State>
  /**
   * Called before the callback of each valid message. After nothing or `ws.ok(state)` the callback
   * is called, with that state. `ws.push` or `ws.stop` answers the message instead of the callback.
   */
  readonly guard?: Callback<Receive, Send, Info, State>
  /** Called for an invalid message. Without it the connection is closed with 1007 or 1008. */
  readonly handleInvalid?: Callback<InvalidMessage, Send, Info, State>
  /** Called for a ping or pong. The pong to a ping has been sent already. */
  readonly handleControl?: Callback<ControlFrame, Send, Info, State>
  /** Called for an info from a timer, a ref or a topic. */
  readonly handleInfo?: Callback<Info, Send, Info, State>
  /**
   * Called when the server will end the connection soon. It may send a message or stop. Its
   * messages are sent before the close frame, if it takes no longer than `terminateTimeoutMs`.
   */
  readonly handleDrain?: Callback<DrainInfo, Send, Info, State>
  /**
   * Called after publications of other nodes were lost, when they arrive again. Reload the data
   * that depends on them.
   */
  readonly handleGap?: Callback<GapInfo, Send, Info, State>
  /**
   * Called when presence has changed, on any node, on a topic that this connection is subscribed
   * to.
   */
  readonly handlePresence?: Callback<PresenceDiff, Send, Info, State>
  /**
   * Called exactly once for each connection whose `init` has returned. Has `terminateTimeoutMs` to
   * settle.
   */
  readonly terminate?: (
    reason: TerminateReason, state: State, ws: NoInfer<Context<Send, Info, State>>
  ) => Awaitable<void>
}

/**
 * The types of one route, named as in Fastify's generics: `app.get<{ Params, Receive, Send, State
 * }>`.
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

/**
 * A handler with explicit types: `WebsocketHandler<{ Receive: In, Send: Out, State: { n: number }
 * }>`.
 */
export type WebsocketHandler<T extends WebsocketTypes = {}> = WebsocketHandlerObject<
  Get<T, 'Params', unknown>, Get<T, 'Querystring', unknown>, Get<T, 'Headers', IncomingHttpHeaders>,
  Get<T, 'Receive', RawMessage>, Get<T, 'Send', RawSend>, Get<T, 'Info', unknown>,
  Get<T, 'State', NoStateFromInitAbove>>

/** A handler with its types erased. */
export type AnyHandler = WebsocketHandlerObject<
  unknown,
  unknown,
  unknown,
  Record<string, string>,
  unknown,
  unknown,
  unknown
>
