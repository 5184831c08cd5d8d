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
  /** Answers plain GETs; without it they get 426. */
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
 * The types of one route as its client sees them: a plain object type, for
 * `connect<ContractOf<typeof chat>>(url)`.
 *
 * The names are the server's, so `Receive` is what the client sends, and `Send` what the client
 * receives. They differ from the types in the handler where a schema transforms (zod, say): the
 * client sends what `receive` takes in, and receives what goes over the wire.
 */
export interface WebsocketContract<out Params, out Querystring, out Receive, out Send, out Info> {
  readonly Params: Params
  readonly Querystring: Querystring
  readonly Receive: Receive
  readonly Send: Send
  /**
   * What the route's mailboxes take: `app.websock.ref<ContractOf<typeof chat>['Info']>(address)`.
   */
  readonly Info: Info
}

/** Both sides of a schema that transforms, as Standard Schema has them: zod, valibot, ArkType. */
interface StandardSchema<out In, out Out> {
  readonly '~standard': {
    readonly types?: { readonly input: In, readonly output: Out } | undefined
  }
}

/** What a schema is given before it transforms. */
type Input<TP extends FastifyTypeProvider, S> =
  S extends StandardSchema<infer In, unknown> ? In : Validated<TP, S>

/**
 * What is on the wire for a `send` schema: its other side than the one that handlers push. A
 * serializer compiler encodes the output (fastify-type-provider-zod 5 and later) or parses the
 * input (earlier ones).
 */
type OnWire<TP extends FastifyTypeProvider, S> = S extends StandardSchema<infer In, infer Out>
  ? [Serialized<TP, S>, Out] extends [Out, Serialized<TP, S>] ? In : Out
  : Serialized<TP, S>

/**
 * From a schema object that both sides share: `SchemaContract<TypeBoxTypeProvider, typeof schema>`.
 */
export type SchemaContract<TP extends FastifyTypeProvider, S> = WebsocketContract<
  S extends { params: infer P } ? Input<TP, P> : unknown,
  S extends { querystring: infer P } ? Input<TP, P> : unknown,
  MessagesOf<S> extends { receive: infer P } ? Input<TP, P> : RawMessage,
  MessagesOf<S> extends { send: infer P } ? OnWire<TP, P> : RawSend,
  InfoOf<TP, S, {}>>

/**
 * From a route made by `defineWebsocketRoute`: `ContractOf<typeof chat>`. See {@link
 * WebsocketContract}.
 */
export type ContractOf<R> = R extends { readonly [kContract]: infer T } ? T : never

/**
 * What `defineWebsocketRoute` gives: options for `app.get(url, route)` or `app.route({ method:
 * 'GET', url, ...route })`.
 */
export interface WebsocketRoute<TP extends FastifyTypeProvider, S extends FastifySchema, State> {
  schema?: S
  websocketOptions?: WebsocketOptions
  websocketHandler: WebsocketRouteHandler<TP, S, {}, State>
  /** In the types alone, and always there: so that a route of any provider fits any instance. */
  readonly [kContract]: SchemaContract<TP, S>
}

/**
 * A route made by `defineWebsocketRoute`, with hooks beside it or without, as any instance takes
 * it.
 */
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
   * The same literal as in `app.get`, outside of one: schema, handler and state are inferred alike.
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
     * `receive`: what the client may send. `send`: what the server may send. `info`: what the
     * mailbox may be told.
     */
    websocket?: { receive?: unknown, send?: unknown, info?: unknown }
  }

  // Not used for inference: State is any here. It is what the last overload of Fastify sees, so
  // that a mistake in a handler is reported where it is, and not as "'websocketHandler' does not
  // exist".
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
    /** What this route does otherwise than the plugin's options say. */
    websocketOptions?: WebsocketOptions
  }

  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    websock: Websock

    // For a route of `defineWebsocketRoute`, whatever its type provider.
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

    // Looks as if the one above could do without it, and does two things. A route of
    // `defineWebsocketRoute` fits an instance of another type provider. And it is the fourth
    // overload that takes two arguments: of up to three TypeScript prints each one's error, of more
    // the last one's alone (test/types/mistakes.test.ts holds the texts).
    (
      path: string, opts: DefinedWebsocketRoute<RawServer, RawRequest, RawReply>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
}
