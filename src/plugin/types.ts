import type { IncomingHttpHeaders } from 'node:http'
import type {
  ContextConfigDefault,
  FastifyBaseLogger,
  FastifySchema,
  FastifyTypeProvider,
  FastifyTypeProviderDefault,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerBase,
  RawServerDefault,
  RouteGenericInterface,
  RouteHandlerMethod,
  RouteShorthandOptions
} from 'fastify'
import type { NoStateFromInitAbove, WebsocketHandlerObject } from '../connection/handler.ts'
import type { RawSend } from '../connection/handler-context.ts'
import type { TypeToken } from '../messages/typed.ts'
import type { RawMessage } from '../wire/frame.ts'
import type { WebsocketOptions } from './options.ts'
import type { Websock } from './websock.ts'

// ── from schema to type

type Validated<TP extends FastifyTypeProvider, S> =
  S extends TypeToken<infer T> ? T : (TP & { schema: S })['validator']
type Serialized<TP extends FastifyTypeProvider, S> =
  S extends TypeToken<infer T> ? T : (TP & { schema: S })['serializer']
type MessagesOf<S> = S extends { websocket: infer W } ? W : unknown
type WithLowercaseKeys<H> = IncomingHttpHeaders
  & (unknown extends H
    ? unknown
    : { [K in keyof H as K extends string ? Lowercase<K> : never]: H[K] })

type ParamsOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Params: infer P }
  ? P
  : S extends { params: infer P }
    ? Validated<TP, P>
    : unknown
type QueryOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Querystring: infer P }
  ? P
  : S extends { querystring: infer P }
    ? Validated<TP, P>
    : unknown
type HeadersOf<TP extends FastifyTypeProvider, S, RG> = WithLowercaseKeys<
  RG extends { Headers: infer P } ? P : S extends { headers: infer P } ? Validated<TP, P> : unknown
>
type ReceiveOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Receive: infer P }
  ? P
  : MessagesOf<S> extends { receive: infer P }
    ? Validated<TP, P>
    : RawMessage
type SendOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Send: infer P }
  ? P
  : MessagesOf<S> extends { send: infer P }
    ? Serialized<TP, P>
    : RawSend
type InfoOf<TP extends FastifyTypeProvider, S, RG> = RG extends { Info: infer P }
  ? P
  : MessagesOf<S> extends { info: infer P }
    ? Validated<TP, P>
    : unknown

/** The handler that a route with this schema, type provider and generics needs. */
export type WebsocketRouteHandler<
  TP extends FastifyTypeProvider,
  S,
  RG,
  State
> = WebsocketHandlerObject<
  ParamsOf<TP, S, RG>,
  QueryOf<TP, S, RG>,
  HeadersOf<TP, S, RG>,
  ReceiveOf<TP, S, RG>,
  SendOf<TP, S, RG>,
  InfoOf<TP, S, RG>,
  State
>

type StateOf<RG> = RG extends { State: infer S } ? S : NoStateFromInitAbove

// ── the route

export interface WebsocketShorthandOptions<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> =
  RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
  ContextConfig = ContextConfigDefault,
  SchemaCompiler extends FastifySchema = FastifySchema,
  TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
  Logger extends FastifyBaseLogger = FastifyBaseLogger,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any state, as below
  State = any
> extends RouteShorthandOptions<
  RawServer,
  RawRequest,
  RawReply,
  RouteGeneric,
  ContextConfig,
  SchemaCompiler,
  TypeProvider,
  Logger
> {
  websocket?: never
  wsHandler?: never
  /** Answers plain GET requests. Without it they get 426. */
  handler?: RouteHandlerMethod<
    RawServer,
    RawRequest,
    RawReply,
    RouteGeneric,
    ContextConfig,
    NoInfer<SchemaCompiler>,
    TypeProvider,
    Logger
  >
  websocketHandler: WebsocketRouteHandler<
    TypeProvider,
    NoInfer<SchemaCompiler>,
    RouteGeneric,
    State
  >
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
> extends WebsocketShorthandOptions<
  RawServer,
  RawRequest,
  RawReply,
  RouteGeneric,
  ContextConfig,
  SchemaCompiler,
  TypeProvider,
  Logger,
  State
> {
  method: 'GET' | 'get' | readonly ['GET']
  url: string
}

// ── a route at module level

declare const kContract: unique symbol

/**
 * The types of one route for its client: a plain object type, for `connect<ContractOf<typeof
 * chat>>(url)`.
 *
 * The names are those of the server: the client sends `Receive` and receives `Send`. The types
 * differ from those of the handler when a schema transforms (zod, for example). Then the client
 * sends the input of the `receive` schema, and receives the data on the wire.
 */
export interface WebsocketContract<out Params, out Querystring, out Receive, out Send, out Info> {
  readonly Params: Params
  readonly Querystring: Querystring
  readonly Receive: Receive
  readonly Send: Send
  /** The infos of the route: `app.websock.ref<ContractOf<typeof chat>['Info']>(address)`. */
  readonly Info: Info
}

/**
 * The input and the output of a schema that transforms (Standard Schema: zod, valibot, ArkType).
 */
interface StandardSchema<out In, out Out> {
  readonly '~standard': {
    readonly types?: { readonly input: In, readonly output: Out } | undefined
  }
}

/** The input of a schema, before it transforms. */
type Input<TP extends FastifyTypeProvider, S> =
  S extends StandardSchema<infer In, unknown> ? In : Validated<TP, S>

/**
 * The data on the wire for a `send` schema. Handlers push one side of the schema, the wire has the
 * other. A serializer compiler encodes the output (fastify-type-provider-zod 5 and later) or parses
 * the input (earlier versions).
 */
type OnWire<TP extends FastifyTypeProvider, S> = S extends StandardSchema<infer In, infer Out>
  ? [Serialized<TP, S>, Out] extends [Out, Serialized<TP, S>] ? In : Out
  : Serialized<TP, S>

/**
 * The contract of a schema object that client and server share:
 * `SchemaContract<TypeBoxTypeProvider, typeof schema>`.
 */
export type SchemaContract<TP extends FastifyTypeProvider, S> = WebsocketContract<
  S extends { params: infer P } ? Input<TP, P> : unknown,
  S extends { querystring: infer P } ? Input<TP, P> : unknown,
  MessagesOf<S> extends { receive: infer P } ? Input<TP, P> : RawMessage,
  MessagesOf<S> extends { send: infer P } ? OnWire<TP, P> : RawSend,
  InfoOf<TP, S, {}>>

/**
 * The contract of a route of `defineWebsocketRoute`: `ContractOf<typeof chat>`. See {@link
 * WebsocketContract}.
 */
export type ContractOf<R> = R extends { readonly [kContract]: infer T } ? T : never

/**
 * The result of `defineWebsocketRoute`: options for `app.get(url, route)` or `app.route({ method:
 * 'GET', url, ...route })`.
 */
export interface WebsocketRoute<TP extends FastifyTypeProvider, S extends FastifySchema, State> {
  schema?: S
  websocketOptions?: WebsocketOptions
  websocketHandler: WebsocketRouteHandler<TP, S, {}, State>
  /** Exists only in the types. It lets a route of any type provider fit any instance. */
  readonly [kContract]: SchemaContract<TP, S>
}

/** A route of `defineWebsocketRoute`, with hooks or without, for any instance. */
export type DefinedWebsocketRoute<
  RawServer extends RawServerBase = RawServerDefault,
  RawRequest extends RawRequestDefaultExpression<RawServer> =
  RawRequestDefaultExpression<RawServer>,
  RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>
> = Omit<RouteShorthandOptions<RawServer, RawRequest, RawReply>, 'schema' | 'websocketHandler'> & {
  readonly [kContract]: unknown
  schema?: object
  websocketOptions?: WebsocketOptions
  websocketHandler: object
}

export interface DefineWebsocketRoute<TP extends FastifyTypeProvider> {
  /**
   * Takes the same object as `app.get`, and infers schema, handler and state in the same way.
   * Returns its argument.
   */
  <const S extends FastifySchema = {}, State = NoStateFromInitAbove>(route: {
    schema?: S
    websocketOptions?: WebsocketOptions
    websocketHandler: WebsocketRouteHandler<TP, NoInfer<S>, {}, State>
  }): WebsocketRoute<TP, S, State>
}

// The names of the type parameters below must be Fastify's own, or the declarations do not merge.
declare module 'fastify' {
  interface RouteGenericInterface {
    Receive?: unknown
    Send?: unknown
    Info?: unknown
    State?: unknown
  }

  interface FastifySchema {
    /**
     * `receive`: the messages that the client may send. `send`: the messages that the server may
     * send. `info`: the infos of the mailbox.
     */
    websocket?: { receive?: unknown, send?: unknown, info?: unknown }
  }

  // Not used for inference: State is any here. The last overload of Fastify uses it. Without it a
  // mistake in a handler would be reported as "'websocketHandler' does not exist".
  interface RouteShorthandOptions<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> =
    RawRequestDefaultExpression<RawServer>,
    RawReply extends RawReplyDefaultExpression<RawServer> = RawReplyDefaultExpression<RawServer>,
    RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
    ContextConfig = ContextConfigDefault,
    SchemaCompiler extends FastifySchema = FastifySchema,
    TypeProvider extends FastifyTypeProvider = FastifyTypeProviderDefault,
    Logger extends FastifyBaseLogger = FastifyBaseLogger
  > {

    websocketHandler?: WebsocketRouteHandler<
      TypeProvider,
      NoInfer<SchemaCompiler>,
      RouteGeneric,
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- see above
      any
    >
    /** Options of this route. They replace the plugin's options. */
    websocketOptions?: WebsocketOptions
  }

  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    websock: Websock

    // For a route of `defineWebsocketRoute` with any type provider.
    route(
      opts: DefinedWebsocketRoute<RawServer, RawRequest, RawReply> & {
        method: 'GET' | 'get' | readonly ['GET']
        url: string
      }
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
    route<
      RouteGeneric extends RouteGenericInterface = RouteGenericInterface,
      ContextConfig = ContextConfigDefault,
      const SchemaCompiler extends FastifySchema = FastifySchema,
      State = StateOf<RouteGeneric>
    >(
      opts: WebsocketRouteOptions<
        RawServer,
        RawRequest,
        RawReply,
        RouteGeneric,
        ContextConfig,
        SchemaCompiler,
        TypeProvider,
        Logger,
        State
      >
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }

  interface RouteShorthandMethod<
    RawServer extends RawServerBase = RawServerDefault,
    RawRequest extends RawRequestDefaultExpression<RawServer> =
    RawRequestDefaultExpression<RawServer>,
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
      opts: WebsocketShorthandOptions<
        RawServer,
        RawRequest,
        RawReply,
        RouteGeneric,
        ContextConfig,
        SchemaCompiler,
        TypeProvider,
        Logger,
        State
      >
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>

    // This overload seems redundant, but it has two purposes. It lets a route of
    // `defineWebsocketRoute` fit an instance of another type provider. And it is the fourth
    // overload with two arguments: TypeScript prints the errors of up to three overloads, and of
    // four only the error of the last (test/types/mistakes.test.ts checks the texts).
    (
      path: string, opts: DefinedWebsocketRoute<RawServer, RawRequest, RawReply>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
}
