import type { IncomingHttpHeaders } from 'node:http'
import type {
  FastifyError,
  FastifyReply,
  FastifyRequest,
  RouteHandlerMethod,
  RouteOptions
} from 'fastify'
import { Connection } from '../connection/connection.ts'
import type { RouteContext } from '../connection/route-context.ts'
import type { AnyHandler } from '../connection/handler.ts'
import { FST_WEBSOCK_INVALID_HANDLER, FST_WEBSOCK_ROUTE_CONFLICT } from '../errors.ts'
import type { PubSub } from '../pubsub/pubsub.ts'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import type { UpgradeGate } from '../upgrade/upgrade-gate.ts'
import type { Deflate } from '../wire/deflate.ts'
import { addLastHook, listOf } from './last-hook.ts'
import { hasOwnHandler } from './route-methods.ts'
import { agreeOnSubprotocol, checkHandshake, upgradeRequired } from '../upgrade/handshake.ts'
import type { ResolvedOptions } from './options.ts'
import type { ConnectionRegistry } from './connection-registry.ts'
import { agreeOnDeflate, switchProtocols, toHeaderLines } from '../upgrade/switching-protocols.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Upgrade } from '../upgrade/upgrade.ts'

/** The objects of the plugin that each route uses. */
export interface PluginContext {
  readonly gate: UpgradeGate
  readonly registry: ConnectionRegistry
  readonly topics: PubSub<PreparedMessage>
  readonly sharing: WriteSharing
  readonly telemetry: Telemetry
  readonly nextId: () => string
}

/** The result of one connection's handshake. */
interface Agreed {
  readonly subprotocol: string | null
  readonly deflate: Deflate | undefined
  readonly key: string | undefined
}

const kRoute = Symbol('fastify-websock.route')

const CALLBACKS = [
  'init',
  'guard',
  'handleIn',
  'handleInvalid',
  'handleControl',
  'handleInfo',
  'handleDrain',
  'handleGap',
  'handlePresence',
  'terminate'
] as const

/**
 * One websocket route: the hooks around its upgrade, and the context that its connections share.
 */
export class WebsocketRoute {
  readonly name: string
  readonly options: ResolvedOptions
  /** True when the application hides the route from documents with `schema.hide`. */
  readonly hidden: boolean
  readonly #plugin: PluginContext
  readonly #handler: RouteHandlerMethod | undefined
  /** Set before the server is ready, when the schemas are compiled. */
  context: RouteContext | undefined

  constructor (name: string, route: RouteOptions, options: ResolvedOptions, plugin: PluginContext) {
    this.name = name
    if (isFastifyWebsocketRoute(route)) throw new FST_WEBSOCK_ROUTE_CONFLICT(name)
    checkHandler(route.websocketHandler, name)
    this.options = options
    this.hidden = (route.schema as { hide?: unknown } | undefined)?.hide === true
    this.#plugin = plugin
    this.#handler = hasOwnHandler(route) ? route.handler : undefined
  }

  /**
   * Adds the upgrade to the route: the handshake checks after its `onRequest` hooks, the 101 after
   * its `onSend` hooks.
   */
  mount (route: RouteOptions): void {
    const check = this.#check.bind(this)
    const upgrade = this.#upgrade.bind(this)
    addLastHook(route, 'onRequest', check)
    addLastHook(route, 'onSend', upgrade)
    // The error of a hook that fails at the 101 goes to an error handler. The answer of that
    // handler goes through the same onSend hooks.
    route.onError = [...listOf(route.onError), (request, reply, error, done) => {
      this.#plugin.gate.find(request.raw)?.withdraw(reply, error)
      done()
    }]
    route.config = { ...route.config, [kRoute]: this } as NonNullable<RouteOptions['config']>
    route.handler = this.#buildHandler()
  }

  /** The handler of the route, for upgrades and for plain GETs. */
  #buildHandler (): RouteHandlerMethod {
    // The handler's own `this` is the Fastify instance.
    const websocket = this
    return function (request, reply) {
      const upgrade = websocket.#plugin.gate.find(request.raw)
      if (upgrade === undefined) return websocket.#handler?.call(this, request, reply)
      const refusal = admissionRefusal(
        request,
        upgrade.headers,
        websocket.options,
        websocket.#plugin.registry
      )
      if (refusal !== undefined) return reply.send(withHeaders(reply, refusal))
      // With `attachValidation` Fastify leaves the error to the handler.
      if (request.validationError !== undefined) return reply.send(request.validationError)
      // The 101 goes through the onSend hooks like every answer, because they write cookies and
      // sessions.
      upgrade.admit(reply)
      // Returned for another plugin that wraps this handler in an async one: Fastify would send any
      // other result again.
      return reply.send()
    }
  }

  #check (
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: FastifyError) => void
  ): void {
    const upgrade = this.#plugin.gate.find(request.raw)
    if (upgrade === undefined) {
      if (this.#handler !== undefined) done()
      else done(withHeaders(reply, upgradeRequired(request.raw)))
      return
    }
    if (upgrade.over) return
    const verdict = checkHandshake(request, upgrade.headers, this.options)
    if (verdict instanceof Promise) {
      verdict.then((refusal) => done(withHeaders(reply, refusal)), done)
    } else done(withHeaders(reply, verdict))
  }

  #upgrade (
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
    done: (error?: Error | null, payload?: unknown) => void
  ): void {
    const upgrade = this.#plugin.gate.find(request.raw)
    if (upgrade?.takeAdmission(reply) !== true) return done(null, payload)
    // The client is gone, or got the refusal of a timeout, or a hook writes an answer itself.
    if (upgrade.over || reply.raw.headersSent) {
      reply.hijack()
      return
    }
    let refusal: Error | undefined
    try {
      // Checked again, because the onSend hooks may have taken long.
      refusal =
        admissionRefusal(request, upgrade.headers, this.options, this.#plugin.registry) ??
        this.#switch(upgrade, request, reply)
    } catch (error) {
      return done(error as Error)
    }
    if (refusal === undefined) reply.hijack()
    else done(withHeaders(reply, refusal))
  }

  /**
   * Switches protocols. The 101 and `connect` run in one tick, so no frame can arrive before the
   * connection exists. Throws or returns a refusal only before any byte is sent.
   */
  #switch (upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply): Error | undefined {
    const headerLines = toHeaderLines(reply)
    const key = this.#plugin.registry.keyOf(request)
    const subprotocol = agreeOnSubprotocol(upgrade.headers, this.options) as string | null
    const deflate = agreeOnDeflate(upgrade.headers, this.options.compress)
    if (deflate instanceof Error) return deflate
    if (switchProtocols(upgrade, { subprotocol, deflate, headerLines })) {
      this.#connect(upgrade, request, { subprotocol, deflate, key })
    }
  }

  #connect (
    { socket }: Upgrade,
    request: FastifyRequest,
    { subprotocol, deflate, key }: Agreed
  ): void {
    const { registry, nextId } = this.#plugin
    const context = this.context as RouteContext
    const connection = new Connection(context, {
      id: nextId(),
      log: request.log,
      socket,
      subprotocol,
      deflate,
      key
    })
    registry.add(connection)
    context.telemetry.connectionAccepted(connection, request)
    const { params, query, headers } = request
    connection.start({ params, query, headers, request })
  }
}

/** Tells whether a route is one of @fastify/websocket. */
export function isFastifyWebsocketRoute (route: {
  readonly websocket?: unknown
  readonly wsHandler?: unknown
}): boolean {
  return Boolean(route.websocket) || Boolean(route.wsHandler)
}

/**
 * Tells whether a route upgrades: a route with a `websocketHandler`, or one of @fastify/websocket.
 */
export function isWebsocketRoute (route: RouteOptions): boolean {
  return route.websocketHandler !== undefined || isFastifyWebsocketRoute(route)
}

/** The websocket route that a request is for, or undefined. */
export function findRoute (request: FastifyRequest): WebsocketRoute | undefined {
  return routeOf(request.routeOptions.config)
}

/** The websocket route that a route's `config` belongs to, or undefined. */
export function routeOf (config: unknown): WebsocketRoute | undefined {
  return (config as { [kRoute]?: WebsocketRoute } | undefined)?.[kRoute]
}

/**
 * The refusal of this request, or undefined. Checks, in this order: draining, limits, subprotocol.
 */
export function admissionRefusal (
  request: FastifyRequest,
  headers: IncomingHttpHeaders,
  options: ResolvedOptions,
  registry: ConnectionRegistry
): FastifyError | undefined {
  const refusal = registry.refusal(request)
  if (refusal !== undefined) return refusal
  const agreed = agreeOnSubprotocol(headers, options)
  return agreed instanceof Error ? agreed : undefined
}

/**
 * Returns the error. Sets its headers on the reply, so that an error handler of the application
 * keeps them.
 */
function withHeaders<E extends Error> (reply: FastifyReply, error: E | undefined): E | undefined {
  const { headers } = (error ?? {}) as { headers?: Record<string, string> }
  if (headers !== undefined) reply.headers(headers)
  return error
}

function checkHandler (handler: unknown, route: string): asserts handler is AnyHandler {
  if (typeof handler !== 'object' || handler === null) {
    throw new FST_WEBSOCK_INVALID_HANDLER(route, '', 'an object with callbacks such as handleIn')
  }
  const callbacks = handler as Readonly<Record<string, unknown>>
  for (const name of CALLBACKS) {
    if (callbacks[name] !== undefined && typeof callbacks[name] !== 'function') {
      throw new FST_WEBSOCK_INVALID_HANDLER(route, `.${name}`, 'a function')
    }
  }
  // A misspelt callback would never be called.
  const unknown = Object.keys(callbacks).find(
    (name) => /^(handle|on)[A-Z]/.test(name) && !CALLBACKS.some((known) => known === name)
  )
  if (unknown !== undefined) {
    throw new FST_WEBSOCK_INVALID_HANDLER(
      route,
      `.${unknown}`,
      `one of ${CALLBACKS.join(', ')}, on`
    )
  }
  if (callbacks['on'] === undefined) return
  for (const [field, map] of entriesOf(callbacks['on'], route, '.on')) {
    for (const [value, callback] of entriesOf(map, route, `.on.${field}`)) {
      if (typeof callback !== 'function') {
        throw new FST_WEBSOCK_INVALID_HANDLER(route, `.on.${field}.${value}`, 'a function')
      }
    }
  }
}

function entriesOf (map: unknown, route: string, path: string): Array<[string, unknown]> {
  if (typeof map !== 'object' || map === null) {
    throw new FST_WEBSOCK_INVALID_HANDLER(route, path, 'an object')
  }
  return Object.entries(map)
}
