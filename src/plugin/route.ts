import { validateHeaderName, validateHeaderValue, type IncomingHttpHeaders } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest, RouteHandlerMethod, RouteOptions } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import { Connection } from '../connection/connection.ts'
import type { Endpoint } from '../connection/endpoint.ts'
import type { AnyHandler } from '../connection/handler.ts'
import { MIN_DEFLATED_BYTES, type SharedFrame } from '../connection/shared-frame.ts'
import { FST_WEBSOCK_BAD_HANDSHAKE, FST_WEBSOCK_INVALID_HANDLER, FST_WEBSOCK_ROUTE_CONFLICT } from '../errors.ts'
import type { PubSub } from '../pubsub/pubsub.ts'
import type { Gate } from './gate.ts'
import { hasOwnHandler } from './guard.ts'
import { agreeOnSubprotocol, checkHandshake, restoreHandshake, upgradeRequired } from './handshake.ts'
import type { ResolvedOptions } from './options.ts'
import type { Residents } from './residents.ts'
import type { Upgrade } from './upgrade.ts'

/** What the plugin gives to each of its routes. */
export interface Host {
  readonly gate: Gate
  readonly residents: Residents
  readonly topics: PubSub<SharedFrame>
  readonly nextId: () => string
}

const kRoute = Symbol('fastify-websock.route')

/** Pongs that a peer may leave unread before ws cuts it, without a close frame: 128 KiB of the largest. */
const MAX_PENDING_PONGS = 1024

const CALLBACKS = ['init', 'handleIn', 'handleInvalid', 'handleControl', 'handleInfo', 'handleDrain', 'handleGap', 'handlePresence', 'terminate'] as const

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
      const refusal = admissionRefusal(request, upgrade.headers, websocket.options, websocket.#host.residents)
      if (refusal !== undefined) return reply.send(withHeaders(reply, refusal))
      sendSwitch(reply, upgrade)
    }
  }

  #check (request: FastifyRequest, reply: FastifyReply, done: (error?: FastifyError) => void): void {
    const upgrade = this.#host.gate.find(request.raw)
    if (upgrade === undefined) {
      if (this.#handler !== undefined) done()
      else done(withHeaders(reply, upgradeRequired(request.raw)))
      return
    }
    if (upgrade.over) return
    const verdict = checkHandshake(request, upgrade.headers, this.options)
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
    let refusal: Error | undefined
    try {
      // Once more: onSend hooks may have taken their time.
      refusal = admissionRefusal(request, upgrade.headers, this.options, this.#host.residents) ?? this.#switch(upgrade, request, reply)
    } catch (error) {
      return done(error as Error)
    }
    if (refusal === undefined) reply.hijack()
    else done(withHeaders(reply, refusal))
  }

  /**
   * Switches protocols. From here to the end of `connect` all is one tick, so no frame can come too early. Throws, or gives
   * a refusal, only before anything is on the wire.
   */
  #switch (upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply): Error | undefined {
    upgrade.headerLines = toHeaderLines(reply)
    const key = this.#host.residents.keyOf(request)
    upgrade.subprotocol = agreeOnSubprotocol(upgrade.headers, this.options) as string | null
    // ws writes the head as a string; header values are latin1, as Node writes them (RFC 9110 §5.5). By its older name,
    // which the streams of injectWS know too.
    upgrade.socket.setDefaultEncoding('binary')
    restoreHandshake(request.raw.headers, upgrade.headers)
    this.#server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (websocket) => {
      upgrade.accept()
      this.#connect(websocket, upgrade, request, key)
    })
    upgrade.socket.setDefaultEncoding('utf8')
    return upgrade.failure === undefined ? undefined : new FST_WEBSOCK_BAD_HANDSHAKE(upgrade.failure.message)
  }

  #connect (websocket: WebSocket, { socket, smallWindow }: Upgrade, request: FastifyRequest, key: string | undefined): void {
    const { residents, nextId } = this.#host
    const connection = new Connection(this.endpoint as Endpoint, websocket, { id: nextId(), log: request.log, socket, smallWindow, key })
    residents.moveIn(connection)
    const { params, query, headers } = request
    connection.start({ params, query, headers, request })
  }

  /** One for each route, because ws takes limits and extensions from its server. */
  #openServer (): WebSocketServer {
    const { maxMessageBytes, compress, closeTimeoutMs } = this.options
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // ws counts a compressed message before and after inflation, and what cannot be compressed grows: zlib's own bound.
      // The connection counts what came out.
      maxPayload: compress ? maxMessageBytes + (maxMessageBytes >>> 12) + (maxMessageBytes >>> 14) + 16 : maxMessageBytes,
      // Without context takeover: else each connection keeps zlib's windows, and ws minds no threshold.
      perMessageDeflate: compress ? { threshold: MIN_DEFLATED_BYTES, serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
      // Not in @types/ws yet. ws closes 1008 beyond its 16 384 fragments, each an object of its own; so many of 64 bytes
      // are a message of 1 MiB. A larger limit lets larger messages come in fragments as small.
      ...{ closeTimeout: closeTimeoutMs, maxFragments: Math.max(16_384, Math.ceil(maxMessageBytes / 64)), maxPendingAutoPongs: MAX_PENDING_PONGS },
      handleProtocols: (_offered, request) => this.#host.gate.find(request)?.subprotocol ?? false
    })
    server.on('headers', (lines, request) => {
      const upgrade = this.#host.gate.find(request)
      if (upgrade === undefined) return
      // What was agreed on stands nowhere else in ws's public surface.
      upgrade.smallWindow = lines.some((line) => line.includes('server_max_window_bits'))
      lines.push(...upgrade.headerLines)
    })
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
export function admissionRefusal (request: FastifyRequest, headers: IncomingHttpHeaders, options: ResolvedOptions, residents: Residents): FastifyError | undefined {
  const refusal = residents.refusal(request)
  if (refusal !== undefined) return refusal
  const agreed = agreeOnSubprotocol(headers, options)
  return agreed instanceof Error ? agreed : undefined
}

/** Gives the error, and its headers to the reply, so that an error handler of the application's keeps them. */
function withHeaders<E extends Error> (reply: FastifyReply, error: E | undefined): E | undefined {
  const { headers } = (error ?? {}) as { headers?: Record<string, string> }
  if (headers !== undefined) reply.headers(headers)
  return error
}

/** The 101 goes through the onSend hooks like every answer: cookies and sessions are written there. */
function sendSwitch (reply: FastifyReply, upgrade: Upgrade): void {
  upgrade.admitted = true
  // Not by `reply.code`: an error finds its own status only where none was set.
  reply.raw.statusCode = 101
  const send = reply.send.bind(reply)
  // A hook that fails now ends in an error handler, whose answer goes through the same onSend hooks: it is not the 101 any more.
  reply.send = (payload?: unknown) => {
    upgrade.admitted = false
    if (reply.statusCode === 101) reply.raw.statusCode = 200
    return send(payload)
  }
  send()
}

function checkHandler (handler: unknown, route: string): asserts handler is AnyHandler {
  if (typeof handler !== 'object' || handler === null) throw new FST_WEBSOCK_INVALID_HANDLER(route, '', 'an object with callbacks such as handleIn')
  const callbacks = handler as Readonly<Record<string, unknown>>
  for (const name of CALLBACKS) {
    if (callbacks[name] !== undefined && typeof callbacks[name] !== 'function') throw new FST_WEBSOCK_INVALID_HANDLER(route, `.${name}`, 'a function')
  }
  // A misspelt callback would never be called.
  const unknown = Object.keys(callbacks).find((name) => /^(handle|on)[A-Z]/.test(name) && !CALLBACKS.some((known) => known === name))
  if (unknown !== undefined) throw new FST_WEBSOCK_INVALID_HANDLER(route, `.${unknown}`, `one of ${CALLBACKS.join(', ')}, on`)
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
const NOT_ON_101 = /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-(type|length|encoding|language|location|range)|sec-websocket-.*)$/i

/** The headers set so far, on `reply` and on `reply.raw`, as lines. Throws for what would not stay in its line. */
function toHeaderLines (reply: FastifyReply): string[] {
  const lines: string[] = []
  const headers = reply.getHeaders()
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || NOT_ON_101.test(name)) continue
    validateHeaderName(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      validateHeaderValue(name, String(item))
      lines.push(`${name}: ${String(item)}`)
    }
  }
  return lines
}
