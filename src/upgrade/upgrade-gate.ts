import { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { EventLoop } from '../event-loop.ts'
import { FST_WEBSOCK_DRAINING, FST_WEBSOCK_TOO_MANY_HEADERS } from '../errors.ts'
import { isWebsocketUpgrade } from './handshake.ts'
import { OtherListeners } from './other-listeners.ts'
import {
  RETRY_AFTER_SECONDS,
  Upgrade,
  type UpgradeObserver,
  type UpgradeTimeouts
} from './upgrade.ts'
import { emitDrain } from './upgrade-response.ts'

type Tracked = IncomingMessage & { [key: symbol]: Upgrade | undefined }

/**
 * Receives every upgrade of the server. An upgrade of a websocket route goes to @fastify/websocket,
 * which routes it. Any other goes to the other 'upgrade' listeners of the server or, without such
 * listeners, back to HTTP. Each upgrade has a time limit.
 */
export class UpgradeGate {
  /**
   * The `server` option of @fastify/websocket. It emits the upgrades that @fastify/websocket may
   * route, also those of `websocket: true` routes. `injectWS` emits on it too.
   */
  readonly upgrades: EventEmitter = new EventEmitter()
  readonly #server: Server
  readonly #timeouts: UpgradeTimeouts
  readonly #loop: EventLoop
  readonly #isRouted: (request: IncomingMessage) => boolean
  readonly #others: OtherListeners
  readonly #observer: UpgradeObserver
  /** The entries are emptied on removal, as those of `ConnectionRegistry` are. */
  readonly #open = new Set<{ upgrade: Upgrade | undefined }>()
  /**
   * The property of a request that holds its upgrade. Not a WeakMap: a young collection of V8 keeps
   * the values of a WeakMap, and an upgrade refers to its request and socket. All of them would be
   * promoted to the old generation.
   */
  readonly #key = Symbol('fastify-websock.upgrade')
  /**
   * The last unfinished response of each socket: requests may be pipelined in front of an upgrade.
   */
  readonly #answers = new WeakMap<Duplex, ServerResponse>()
  /** Sockets of upgrades that wait for such a response, each with its time limit. */
  readonly #waiting = new Map<Duplex, NodeJS.Timeout>()
  #closing = false

  /**
   * `isRouted` tells whether a request is for a websocket route. It is called only when the server
   * has other 'upgrade' listeners.
   */
  constructor (
    server: Server,
    timeouts: UpgradeTimeouts,
    loop: EventLoop,
    isRouted: (request: IncomingMessage) => boolean,
    observer: UpgradeObserver
  ) {
    this.#observer = observer
    this.#server = server
    this.#timeouts = timeouts
    this.#loop = loop
    this.#isRouted = isRouted
    this.#others = new OtherListeners(server, timeouts, (request, socket, head) => {
      this.#afterAnswer(socket, () => this.#enter(request, socket, head))
    })
    this.upgrades.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#enterInjected(request, socket, head)
    )
  }

  /** The number of upgrades without an answer, or whose socket is not closed yet. */
  get pending (): number { return this.#open.size }

  find (request: IncomingMessage): Upgrade | undefined {
    return (request as Tracked)[this.#key]
  }

  /** The headers of a request as the client sent them. */
  headersOf (request: IncomingMessage): IncomingHttpHeaders {
    return this.find(request)?.headers ?? request.headers
  }

  /** Must be called for each HTTP request, and `answered` when its response has been sent. */
  answering (socket: Duplex, response: ServerResponse): void {
    this.#answers.set(socket, response)
  }

  answered (socket: Duplex, response: ServerResponse): void {
    if (this.#answers.get(socket) === response) this.#answers.delete(socket)
  }

  /** Refuses new upgrades with 503 from now on, and at once those that wait for a hook. */
  close (): void {
    this.#closing = true
    for (const socket of this.#waiting.keys()) this.#limit(socket, this.#timeouts.closeTimeoutMs)
    for (const { upgrade } of this.#open) if (upgrade) refuseDraining(upgrade)
    this.#others.close()
  }

  /**
   * Waits for the responses to the requests that the client pipelined before this upgrade. The last
   * of them ends last. Node does not watch the socket any more, so its errors and its 'drain'
   * events are handled here.
   */
  #afterAnswer (socket: Duplex, next: () => void): void {
    const last = this.#answers.get(socket)
    this.#answers.delete(socket)
    if (last === undefined || last.closed) return next()
    const fail = (): void => { socket.destroy() }
    const drain = (): void => emitDrain(last)
    const stop = (): void => {
      clearTimeout(this.#waiting.get(socket))
      this.#waiting.delete(socket)
      socket.off('error', fail).off('drain', drain).off('close', stop)
    }
    socket.on('error', fail).on('drain', drain).on('close', stop)
    this.#limit(socket, this.#timeouts.upgradeTimeoutMs)
    last.once('close', () => {
      stop()
      if (!socket.destroyed) next()
    })
  }

  #limit (socket: Duplex, ms: number): void {
    clearTimeout(this.#waiting.get(socket))
    this.#waiting.set(socket, setTimeout(() => socket.destroy(), ms))
  }

  #enter (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const isWebsocket = isWebsocketUpgrade(request)
    if (this.#others.present && !(isWebsocket && this.#isRouted(request))) {
      return this.#others.handOver(request, socket, head)
    }
    const whole = hasAllHeaders(this.#server, request)
    if (whole && !isWebsocket && !hasBody(request)) {
      return replayAsHttp(this.#server, request, socket, head)
    }
    const upgrade = this.#track(request, socket, head)
    if (!whole) upgrade.refuse(new FST_WEBSOCK_TOO_MANY_HEADERS())
    // Fastify answers by itself while it closes, without hooks and without Retry-After.
    else if (this.#closing) refuseDraining(upgrade)
    else {
      this.upgrades.emit('upgrade', request, socket, head)
      // No hook runs for some answers (to a malformed URL, for example). Such an answer holds the
      // socket until the end of this turn.
      if (!upgrade.routed) setImmediate(() => this.upgrades.emit('upgrade', request, socket, head))
    }
    upgrade.watch()
  }

  #enterInjected (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.find(request) !== undefined) return
    // The request of `injectWS` has no host, and a number as its version.
    request.headers.host ??= 'localhost'
    request.headers['sec-websocket-version'] = String(request.headers['sec-websocket-version'])
    this.#track(request, socket, head).watch()
  }

  #track (request: IncomingMessage, socket: Duplex, head: Buffer): Upgrade {
    const entry: { upgrade: Upgrade | undefined } = { upgrade: undefined }
    const upgrade = new Upgrade(
      request,
      socket,
      head,
      this.#timeouts,
      this.#loop,
      this.#observer,
      () => {
        entry.upgrade = undefined
        this.#open.delete(entry)
      }
    )
    entry.upgrade = upgrade
    ;(request as Tracked)[this.#key] = upgrade
    this.#open.add(entry)
    return upgrade
  }
}

function refuseDraining (upgrade: Upgrade): void {
  upgrade.refuse(new FST_WEBSOCK_DRAINING(), { 'Retry-After': RETRY_AFTER_SECONDS })
}

/**
 * Tells whether `request` has all the headers that the client sent. Node silently drops headers
 * beyond `maxHeadersCount`, and Origin or Content-Length may be among them. Such a request can
 * neither be checked nor be given back to HTTP.
 */
function hasAllHeaders (server: Server, request: IncomingMessage): boolean {
  // The default of Node (lib/_http_common.js): 2 000 names and values.
  const most = server.maxHeadersCount ?? 1000
  return most === 0 || request.rawHeaders.length < most * 2
}

/**
 * Tells whether Node has begun to read a body for the request (Node 26). Then the request gets an
 * answer, and TCP is closed. In earlier versions the body follows the head, unread.
 */
function hasBody ({ complete, readableLength }: IncomingMessage): boolean {
  return !complete || readableLength > 0
}

/**
 * Gives a request back to the HTTP server, without its Upgrade header. Because the server has an
 * 'upgrade' listener, Node takes each request with that header out of HTTP, also one that offers
 * another protocol (h2c of curl, for example).
 */
function replayAsHttp (
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer
): void {
  const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/${request.httpVersion}`]
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ''
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${request.rawHeaders[i + 1] ?? ''}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(lines.join('\r\n') + '\r\n\r\n', 'latin1'), head]))
  // Node's documentation allows users to emit 'connection' to give the server a socket. TLS is
  // decrypted already.
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}
