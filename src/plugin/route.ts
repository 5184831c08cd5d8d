import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import { Connection, type Endpoint } from '../connection/connection.ts'
import type { AnyHandler } from '../connection/handler.ts'
import { FST_WEBSOCK_BAD_HANDSHAKE, FST_WEBSOCK_INVALID_HANDLER, FST_WEBSOCK_ROUTE_CONFLICT } from '../errors.ts'
import type { Gate } from './gate.ts'
import { hasOwnHandler } from './guard.ts'
import { agreeOnSubprotocol, checkHandshake, upgradeRequired } from './handshake.ts'
import type { ResolvedOptions } from './options.ts'
import type { Residents } from './residents.ts'
import type { Upgrade } from './upgrade.ts'

/** What the plugin gives to each of its routes. */
export interface Host {
  readonly gate: Gate
  readonly residents: Residents
  readonly nextId: () => string
  readonly post: (address: string, info: unknown) => boolean
}

const kRoute = Symbol('fastify-websock.route')

const CALLBACKS = ['init', 'handleIn', 'handleInvalid', 'handleControl', 'handleInfo', 'terminate'] as const

/**
 * One websocket route: the hooks that stand around its upgrade, and what its connections share.
 */
export class WebsocketRoute {
  readonly name: string
  readonly options: ResolvedOptions
  readonly #host: Host
  readonly #handler: RouteHandlerMethod | undefined
  readonly #server: WebSocketServer
  /** Set before the server is ready, when the schemas are compiled. */
  endpoint: Endpoint | undefined

  constructor (name: string, route: RouteOptions, options: ResolvedOptions, host: Host) {
    this.name = name
    if (isForeign(route)) throw new FST_WEBSOCK_ROUTE_CONFLICT(name)
    checkHandler(route.websocketHandler, name)
    this.options = options
    this.#host = host
    this.#handler = hasOwnHandler(route) ? route.handler : undefined
    this.#server = this.#openServer()
  }

  /** Puts the upgrade into the route: our checks behind its `onRequest` hooks, the 101 behind its `onSend` hooks. */
  mount (route: RouteOptions): void {
    const check = this.#check.bind(this)
    const upgrade = this.#upgrade.bind(this)
    route.onRequest = [...listOf(route.onRequest), check]
    route.onSend = [...listOf(route.onSend), upgrade] as NonNullable<RouteOptions['onSend']>
    route.config = { ...route.config, [kRoute]: this } as NonNullable<RouteOptions['config']>
    route.handler = this.#buildHandler()
  }

  /** The handler of the route, for upgrades and for plain GETs. */
  #buildHandler (): RouteHandlerMethod {
    // The handler's own `this` is the Fastify instance.
    const websocket = this
    return function (request, reply) {
      const upgrade = websocket.#host.gate.find(request.raw)
      if (upgrade === undefined) return websocket.#handler?.call(this, request, reply)
      const refusal = admissionRefusal(request, websocket.options, websocket.#host.residents)
      if (refusal !== undefined) return reply.send(withHeaders(reply, refusal))
      upgrade.admitted = true
      // The 101 goes through the onSend hooks like every answer: cookies and sessions are written there.
      reply.code(101).send()
    }
  }

  #check (request: FastifyRequest, reply: FastifyReply, done: (error?: FastifyError) => void): void {
    const upgrade = this.#host.gate.find(request.raw)
    if (upgrade === undefined) {
      if (this.#handler !== undefined) done()
      else done(withHeaders(reply, upgradeRequired()))
      return
    }
    if (upgrade.over) return
    upgrade.setTimeouts(this.options)
    const verdict = checkHandshake(request, this.options)
    if (verdict instanceof Promise) verdict.then((refusal) => done(withHeaders(reply, refusal)), done)
    else done(withHeaders(reply, verdict))
  }

  #upgrade (request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error?: Error | null, payload?: unknown) => void): void {
    const upgrade = this.#host.gate.find(request.raw)
    if (upgrade?.admitted !== true) return done(null, payload)
    upgrade.admitted = false
    // The client has gone, or was told that it took too long.
    if (upgrade.over) {
      reply.hijack()
      return
    }
    // Once more: onSend hooks may have taken their time.
    const refusal = admissionRefusal(request, this.options, this.#host.residents) ?? this.#switch(upgrade, request, reply)
    if (refusal === undefined) reply.hijack()
    else done(withHeaders(reply, refusal))
  }

  /** Switches protocols. From here to the end of `connect` all is one tick, so no frame can come too early. */
  #switch (upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply): Error | undefined {
    try {
      upgrade.headerLines = toHeaderLines(reply)
    } catch (error) {
      return error as Error
    }
    upgrade.subprotocol = agreeOnSubprotocol(request, this.options) as string | null
    // It was a list with `websocket` in it; ws wants that alone.
    request.raw.headers.upgrade = 'websocket'
    this.#server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (websocket) => {
      upgrade.accept()
      this.#connect(websocket, upgrade, request)
    })
    return upgrade.failure === undefined ? undefined : new FST_WEBSOCK_BAD_HANDSHAKE(upgrade.failure.message)
  }

  #connect (websocket: WebSocket, { socket }: Upgrade, request: FastifyRequest): void {
    const { residents, nextId, post } = this.#host
    let moveOut = (): void => {}
    const connection = new Connection(this.endpoint as Endpoint, websocket, { id: nextId(), log: request.log, socket, post, onGone: () => moveOut() })
    moveOut = residents.moveIn(connection, request)
    const { params, query, headers } = request
    connection.start({ params, query, headers, request })
  }

  /** One for each route, because ws takes limits and extensions from its server. */
  #openServer (): WebSocketServer {
    const { maxMessageBytes, compress, closeTimeoutMs } = this.options
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: maxMessageBytes,
      perMessageDeflate: compress ? { threshold: 1024 } : false,
      // Not in @types/ws yet.
      ...{ closeTimeout: closeTimeoutMs },
      handleProtocols: (_offered, request) => this.#host.gate.find(request)?.subprotocol ?? false
    })
    server.on('headers', (lines, request) => lines.push(...this.#host.gate.find(request)?.headerLines ?? []))
    server.on('wsClientError', (error, _socket, request) => {
      const upgrade = this.#host.gate.find(request)
      if (upgrade !== undefined) upgrade.failure = error
    })
    return server
  }
}

/** A route of @fastify/websocket's own kind. */
export function isForeign (route: { readonly websocket?: unknown, readonly wsHandler?: unknown }): boolean {
  return Boolean(route.websocket) || Boolean(route.wsHandler)
}

/** The websocket route that a request is for, or undefined. */
export function findRoute (request: FastifyRequest): WebsocketRoute | undefined {
  return (request.routeOptions.config as { [kRoute]?: WebsocketRoute })[kRoute]
}

/** Draining, limits, then the subprotocol: why this request may not be upgraded now, or undefined. */
export function admissionRefusal (request: FastifyRequest, options: ResolvedOptions, residents: Residents): FastifyError | undefined {
  const refusal = residents.refusal(request)
  if (refusal !== undefined) return refusal
  const agreed = agreeOnSubprotocol(request, options)
  return agreed instanceof Error ? agreed : undefined
}

/** Gives the error, and its headers to the reply, so that an error handler of the application's keeps them. */
function withHeaders<E extends Error> (reply: FastifyReply, error: E | undefined): E | undefined {
  const { headers } = (error ?? {}) as { headers?: Record<string, string> }
  if (headers !== undefined) reply.headers(headers)
  return error
}

function checkHandler (handler: unknown, route: string): asserts handler is AnyHandler {
  if (typeof handler !== 'object' || handler === null) throw new FST_WEBSOCK_INVALID_HANDLER(route, '', 'an object')
  const callbacks = handler as Readonly<Record<string, unknown>>
  for (const name of CALLBACKS) {
    if (callbacks[name] !== undefined && typeof callbacks[name] !== 'function') throw new FST_WEBSOCK_INVALID_HANDLER(route, `.${name}`, 'a function')
  }
  if (callbacks['on'] === undefined) return
  for (const [field, map] of entriesOf(callbacks['on'], route, '.on')) {
    for (const [value, callback] of entriesOf(map, route, `.on.${field}`)) {
      if (typeof callback !== 'function') throw new FST_WEBSOCK_INVALID_HANDLER(route, `.on.${field}.${value}`, 'a function')
    }
  }
}

function entriesOf (map: unknown, route: string, path: string): Array<[string, unknown]> {
  if (typeof map !== 'object' || map === null) throw new FST_WEBSOCK_INVALID_HANDLER(route, path, 'an object')
  return Object.entries(map)
}

function listOf<T> (hooks: T | T[] | undefined): T[] {
  return hooks === undefined ? [] : Array.isArray(hooks) ? hooks : [hooks]
}

// Hop-by-hop (RFC 9110 §7.6.1), ws's own, and those of a body, which a 101 has not.
const NOT_ON_101 = /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-.*|sec-websocket-.*)$/i

/** The headers set so far, on `reply` and on `reply.raw`, as lines. Throws for what would not stay in its line. */
function toHeaderLines (reply: FastifyReply): string[] {
  const headers = { ...reply.raw.getHeaders(), ...reply.getHeaders() }
  return Object.entries(headers).flatMap(([name, value]) => {
    if (NOT_ON_101.test(name) || value === undefined) return []
    validateHeaderName(name)
    return (Array.isArray(value) ? value : [value]).map((item) => {
      validateHeaderValue(name, String(item))
      return `${name}: ${String(item)}`
    })
  })
}
