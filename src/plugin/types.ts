import type { IncomingHttpHeaders } from 'node:http'
import type {
  ContextConfigDefault, FastifyBaseLogger, FastifyError, FastifyRequest, FastifySchema, FastifyTypeProvider, FastifyTypeProviderDefault,
  RawReplyDefaultExpression, RawRequestDefaultExpression, RawServerBase, RawServerDefault, RouteGenericInterface,
  RouteHandlerMethod, RouteShorthandOptions
} from 'fastify'
import type { GapInfo, PresenceDiff, PresenceEntry, RawSend, WebsocketHandlerObject } from '../connection/handler.ts'
import type { Ref } from '../connection/ref.ts'
import type { TopicListener } from '../pubsub/listener.ts'
import type { TypeToken } from '../messages/typed.ts'
import type { RawMessage } from '../wire/frame.ts'
import type { DrainOptions, WebsocketOptions } from './options.ts'

/** `app.websock` */
export interface Websock {
  /** A ref from an address that `ref.address` gave. Its `send` answers false when that connection has ended. Throws FST_WEBSOCK_INVALID_ADDRESS. */
  readonly ref: <Info = unknown>(address: string) => Ref<Info>
  /**
   * Calls the listener, which is no connection, for what concerns a topic: `handleInfo` for publications, at once and in the publisher's
   * own call when that is here, unless that is a listener's itself, which ends first; `handlePresence`, `handleGap`. Errors are logged. Throws FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscribe: <Info = unknown>(topic: string, listener: TopicListener<Info>) => void
  readonly unsubscribe: (topic: string, listener: TopicListener<never>) => void
  /**
   * Resolves with true when publications of other nodes on this topic arrive here: at once without an engine. Resolves with
   * false when nobody here is subscribed, or the last subscription ends before. Rejects with FST_WEBSOCK_INVALID_TOPIC.
   */
  readonly subscriptionReady: (topic: string) => Promise<boolean>
  /** Makes this process itself present on a topic, as `ws.track` does a connection. Throws FST_WEBSOCK_UNTRACKABLE, FST_WEBSOCK_INVALID_TOPIC. */
  readonly track: (topic: string, key: string, meta?: unknown) => void
  readonly untrack: (topic: string, key: string) => void
  /** Who is tracked on that topic, on all nodes, as far as this one knows: a node that died is here for up to 4 seconds more. */
  readonly presence: (topic: string) => PresenceEntry[]
  /** Tells whether the engine is connected and subscribed to all that is wanted here. Always true without an engine. */
  readonly ready: () => boolean
  /** Publications that did not reach the other nodes, because the engine was not connected, or did not keep up. */
  readonly lostPublications: number
  /** An info for the mailbox of each subscriber of that topic, but for `except`. Throws FST_WEBSOCK_INVALID_TOPIC. */
  readonly publish: (topic: string, info: unknown, options?: PublishOptions) => void
  /**
   * A message straight to the socket of each subscriber, with no handler in between: encoded once for each route that they
   * are of, by its `send` schema and codec. Throws FST_WEBSOCK_INVALID_TOPIC, and FST_WEBSOCK_UNSENDABLE when one of these cannot write it.
   */
  readonly broadcast: (topic: string, message: unknown, options?: PublishOptions) => void
  /**
   * Ends all connections in batches and lets nobody in from now on: upgrades get 503. What is left out is the plugin's `drain`.
   * Resolves with the number of connections that had to be cut when `timeoutMs` was over; 0 is a clean drain.
   */
  readonly drain: (options?: DrainOptions) => Promise<number>
  /**
   * The verdict that an upgrade of this request would get, without upgrading: handshake, origin, limits, subprotocol.
   * Resolves with null, or with the error that would be answered: `statusCode`, and `headers` where it has some.
   * Hooks and schemas have no part in it. On a route of its own the route's `websocketOptions` count, elsewhere the plugin's.
   */
  readonly validateUpgrade: (request: FastifyRequest) => Promise<FastifyError | null>
}

export interface PublishOptions {
  /** Who is not told, by its ref or the address of that. */
  readonly except?: Ref<never> | string
}

// ── from schema to type

type Validated<TP extends FastifyTypeProvider, S> = S extends TypeToken<infer T> ? T : (TP & { schema: S })['validator']
type Serialized<TP extends FastifyTypeProvider, S> = S extends TypeToken<infer T> ? T : (TP & { schema: S })['serializer']
type MessagesOf<S> = S extends { websocket: infer W } ? W : unknown
type WithLowercaseKeys<H> = IncomingHttpHeaders & (unknown extends H ? unknown : { [K in keyof H as K extends string ? Lowercase<K> : never]: H[K] })

type ParamsOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Params: infer P } ? P : S extends { params: infer P } ? Validated<TP, P> : unknown
type QueryOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Querystring: infer P } ? P : S extends { querystring: infer P } ? Validated<TP, P> : unknown
type HeadersOf<TP extends FastifyTypeProvider, S, RG> = WithLowercaseKeys<RG extends { Headers: infer P } ? P : S extends { headers: infer P } ? Validated<TP, P> : unknown>
type ReceiveOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Receive: infer P } ? P : MessagesOf<S> extends { receive: infer P } ? Validated<TP, P> : RawMessage
type SendOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Send: infer P } ? P : MessagesOf<S> extends { send: infer P } ? Serialized<TP, P> : RawSend
type InfoOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Info: infer P } ? P : MessagesOf<S> extends { info: infer P } ? Validated<TP, P> : unknown

/** The handler that a route with this schema, type provider and generics needs. */
export type WebsocketRouteHandler<TP extends FastifyTypeProvider, S, RG, State> = WebsocketHandlerObject<
  ParamsOf<TP, S, RG>, QueryOf<TP, S, RG>, HeadersOf<TP, S, RG>, ReceiveOf<TP, S, RG>, SendOf<TP, S, RG>, InfoOf<TP, S, RG>, State>

type StateOf<RG> = RG extends { State: infer S } ? S : undefined

// ── the route

export interface WebsocketShorthandOptions<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger,
  State = any // eslint-disable-line @typescript-eslint/no-explicit-any -- stands for each state, as in the last overload below
> extends RouteShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger> {
  websocket?: never
  wsHandler?: never
  /** Answers plain GETs; without it they get 426. */
  handler?: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoInfer<SchemaCompiler>, TypeProvider, Logger>
  websocketHandler: WebsocketRouteHandler<TypeProvider, NoInfer<SchemaCompiler>, RouteGeneric, State>
}

export interface WebsocketRouteOptions<
  RawServer extends RawServerBase,
  RawRequest extends RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface,
  ContextConfig,
  SchemaCompiler extends FastifySchema,
  TypeProvider extends FastifyTypeProvider,
  Logger extends FastifyBaseLogger,
  State
> extends WebsocketShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger, State> {
  method: 'GET' | 'get' | readonly ['GET']
  url: string
}

// ── a route at module level

declare const kContract: unique symbol

/** The types of one endpoint, for a client of it or a test. */
export interface WebsocketContract<out Params, out Query, out Receive, out Send, out Info> {
  readonly params: Params
  readonly query: Query
  readonly receive: Receive
  readonly send: Send
  readonly info: Info
}

/** From a schema object that both sides share: `SchemaContract<TypeBoxTypeProvider, typeof schema>`. */
export type SchemaContract<TP extends FastifyTypeProvider, S> =
  WebsocketContract<ParamsOf<TP, S, {}>, QueryOf<TP, S, {}>, ReceiveOf<TP, S, {}>, SendOf<TP, S, {}>, InfoOf<TP, S, {}>>

/** From a route made by `defineWebsocketRoute`: `ContractOf<typeof chatRoute>`. */
export type ContractOf<R> = R extends { readonly [kContract]?: infer T } ? NonNullable<T> : never

/** What `defineWebsocketRoute` gives: options for `app.get(url, route)` or `app.route({ method: 'GET', url, ...route })`. */
export interface WebsocketRoute<TP extends FastifyTypeProvider, S extends FastifySchema, State> {
  schema?: S
  websocketOptions?: WebsocketOptions
  websocketHandler: WebsocketRouteHandler<TP, S, {}, State>
  readonly [kContract]?: SchemaContract<TP, S>
}

export interface DefineWebsocketRoute<TP extends FastifyTypeProvider> {
  /** The same literal as in `app.get`, outside of one: schema, handler and state are inferred alike. Returns its argument. */
  <const S extends FastifySchema = {}, State = undefined>(route: {
    schema?: S
    websocketOptions?: WebsocketOptions
    websocketHandler: WebsocketRouteHandler<TP, NoInfer<S>, {}, State>
  }): WebsocketRoute<TP, S, State>
}

// The names of the type parameters below must be Fastify's own, or the declarations do not merge.
declare module 'fastify' {
  interface FastifySchema {
    /** `receive`: what the client may send. `send`: what the server may send. `info`: what the mailbox may be told. */
    websocket?: { receive?: unknown, send?: unknown, info?: unknown }
  }

  // Not used for inference: State is any here. It is what the last overload of Fastify sees, so that a mistake in a
  // handler is reported where it is, and not as "'websocketHandler' does not exist".
  interface RouteShorthandOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends FastifySchema = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
    websocketHandler?: WebsocketRouteHandler<TypeProvider, NoInfer<SchemaCompiler>, RouteGeneric, any>
    /** What this endpoint does otherwise than the plugin's options say. */
    websocketOptions?: WebsocketOptions
  }

  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    websock: Websock

    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema,
      State = StateOf<RouteGeneric>
    >(
      opts: WebsocketRouteOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger, State>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> = RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {
    <
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema,
      State = StateOf<RouteGeneric>
    >(
      path: string,
      opts: WebsocketShorthandOptions<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, SchemaCompiler, TypeProvider, Logger, State>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
}
