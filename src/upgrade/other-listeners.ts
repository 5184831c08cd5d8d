import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { isWebsocketUpgrade } from './handshake.ts'
import type { UpgradeTimeouts } from './upgrade.ts'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void
type Emit = (this: Server, event: string, ...args: unknown[]) => boolean

/** Node emits 'upgrade' only when there is a listener for it. */
const placeholder = (): void => {}

/**
 * The other 'upgrade' listeners of the server: proxies, socket.io, ws servers.
 *
 * All changes that this library makes to the server are here.
 *
 * `emit`: a listener cannot keep an upgrade from the other listeners. So this class takes each
 * upgrade before any listener is called.
 *
 * `shouldUpgradeCallback` (Node 22.21 and later): without other listeners, a request that offers
 * another protocol stays an HTTP request.
 */
export class OtherListeners {
  readonly #server: Server
  readonly #timeouts: UpgradeTimeouts
  readonly #emit: Emit
  /**
   * One function for each socket that was handed over and may be unanswered. It sets the time left.
   */
  readonly #waiting = new Set<(ms: number) => void>()

  /** `receive` is called for each upgrade of the server, in place of its listeners. */
  constructor (server: Server, timeouts: UpgradeTimeouts, receive: UpgradeListener) {
    this.#server = server
    this.#timeouts = timeouts
    const emit = this.#emit = server.emit as Emit
    server.emit = function (this: Server, event: string, ...args: unknown[]) {
      if (event !== 'upgrade') return emit.call(this, event, ...args)
      receive(...args as Parameters<UpgradeListener>)
      return true
    }
    server.on('upgrade', placeholder)
    this.#keepOffersInHttp()
  }

  get present (): boolean {
    return this.#server.listenerCount('upgrade') > 1
  }

  /**
   * Emits an upgrade to the other listeners. A socket that no listener answers is destroyed after
   * `upgradeTimeoutMs`.
   */
  handOver (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#watch(socket)
    // Some listeners count the listeners: @fastify/http-proxy answers 404 only when it is the only
    // one.
    this.#server.off('upgrade', placeholder)
    try {
      this.#emit.call(this.#server, 'upgrade', request, socket, head)
    } finally {
      this.#server.on('upgrade', placeholder)
    }
  }

  /** Called when the server closes. Sockets without an answer have `closeTimeoutMs` left. */
  close (): void {
    for (const limit of this.#waiting) limit(this.#timeouts.closeTimeoutMs)
  }

  /**
   * Limits the time of a socket. Adds an 'error' listener, because Node has removed its own, and a
   * reset of a socket without one would end the process.
   */
  #watch (socket: Duplex): void {
    const written = bytesWritten(socket)
    let timer: NodeJS.Timeout | undefined
    const release = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(limit)
      socket.off('error', destroy).off('close', release)
    }
    const end = (): void => {
      release()
      // Other streams have no `bytesWritten`, so it is unknown whether they were answered.
      if (written !== undefined && bytesWritten(socket) === written) socket.destroy()
    }
    const limit = (ms: number): void => {
      clearTimeout(timer)
      timer = setTimeout(end, ms)
    }
    socket.on('error', destroy).on('close', release)
    this.#waiting.add(limit)
    limit(this.#timeouts.upgradeTimeoutMs)
  }

  #keepOffersInHttp (): void {
    const server = this.#server as Server & {
      shouldUpgradeCallback?: (request: IncomingMessage) => boolean
    }
    const shouldUpgrade = server.shouldUpgradeCallback
    if (shouldUpgrade === undefined) return
    server.shouldUpgradeCallback = (request) =>
      shouldUpgrade.call(server, request) && (this.present || isWebsocketUpgrade(request))
  }
}

function bytesWritten (socket: Duplex): number | undefined {
  return (socket as { bytesWritten?: number }).bytesWritten
}

function destroy (this: Duplex): void {
  this.destroy()
}
