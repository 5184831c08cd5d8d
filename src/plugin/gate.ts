import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import { FST_WEBSOCK_DRAINING } from '../errors.ts'
import { isWebsocketUpgrade } from './handshake.ts'
import { RETRY_AFTER_SECONDS } from './residents.ts'
import { Upgrade, type UpgradeTimeouts } from './upgrade.ts'

/**
 * The front door: every upgrade of the server comes through here first, and none is left standing.
 */
export class Gate {
  /**
   * What @fastify/websocket listens to in place of the server (its `server` option): it routes what is let through,
   * and serves its own `websocket: true` routes as ever. Its `injectWS` comes in here too.
   */
  readonly door = new EventEmitter()
  readonly #server: Server
  readonly #timeouts: UpgradeTimeouts
  readonly #byRequest = new WeakMap<IncomingMessage, Upgrade>()
  readonly #open = new Set<Upgrade>()
  #closing = false

  constructor (server: Server, timeouts: UpgradeTimeouts) {
    this.#server = server
    this.#timeouts = timeouts
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#enter(request, socket, head))
    this.door.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#enterInjected(request, socket, head))
  }

  find (request: IncomingMessage): Upgrade | undefined {
    return this.#byRequest.get(request)
  }

  /** From now on upgrades get 503; those that wait for a hook get it now. */
  close (): void {
    this.#closing = true
    for (const upgrade of this.#open) refuseDraining(upgrade)
  }

  #enter (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!isWebsocketUpgrade(request)) return replayAsHttp(this.#server, request, socket, head)
    const upgrade = this.#track(request, socket, head)
    // Fastify answers by itself while it closes, without hooks and without Retry-After.
    if (this.#closing) return refuseDraining(upgrade)
    this.door.emit('upgrade', request, socket, head)
  }

  #enterInjected (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#byRequest.has(request)) return
    request.headers.host ??= 'localhost'
    this.#track(request, socket, head)
  }

  #track (request: IncomingMessage, socket: Duplex, head: Buffer): Upgrade {
    const upgrade = new Upgrade(request, socket, head, this.#timeouts, () => this.#open.delete(upgrade))
    this.#byRequest.set(request, upgrade)
    this.#open.add(upgrade)
    return upgrade
  }
}

function refuseDraining (upgrade: Upgrade): void {
  upgrade.refuse(new FST_WEBSOCK_DRAINING(), { 'Retry-After': RETRY_AFTER_SECONDS })
}

/**
 * Gives a request back to the HTTP server, without its Upgrade header: because somebody listens for 'upgrade', Node takes
 * each request that has one (h2c of curl, say) out of HTTP, body and all, whatever it wants to be upgraded to.
 */
function replayAsHttp (server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/${request.httpVersion}`]
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? ''
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${request.rawHeaders[i + 1] ?? ''}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(lines.join('\r\n') + '\r\n\r\n', 'latin1'), head]))
  // Documented: 'connection' may be emitted by users to give the server a socket; TLS has done its part already.
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}
