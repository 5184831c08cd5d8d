import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { isWebsocketUpgrade } from './handshake.ts'
import type { UpgradeTimeouts } from './upgrade.ts'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void
type Emit = (this: Server, event: string, ...args: unknown[]) => boolean

/** Node emits 'upgrade' only where there is a listener for it. */
const placeholder = (): void => {}

/**
 * The other 'upgrade' listeners of the server: proxies, socket.io, ws servers.
 *
 * All that this library changes on the server is here. `emit`: a listener cannot keep an upgrade
 * from the others, whatever the order, so upgrades are taken before any is called.
 * `shouldUpgradeCallback` (Node 22.21 and later): an offer of another protocol stays an HTTP
 * request where nobody else listens.
 */
export class OtherListeners {
  readonly #server: Server
  readonly #timeouts: UpgradeTimeouts
  readonly #emit: Emit
  /**
   * For each socket that was handed over and may not be answered yet: sets the time that is left.
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

  /** Emits an upgrade to them. A socket that none answers is destroyed after `upgradeTimeoutMs`. */
  handOver (request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#watch(socket)
    // Some look for other listeners: @fastify/http-proxy answers 404 only where it is the only one.
    this.#server.off('upgrade', placeholder)
    try {
      this.#emit.call(this.#server, 'upgrade', request, socket, head)
    } finally {
      this.#server.on('upgrade', placeholder)
    }
  }

  /** The server closes: what is not answered yet has `closeTimeoutMs` left. */
  close (): void {
    for (const limit of this.#waiting) limit(this.#timeouts.closeTimeoutMs)
  }

  /**
   * Node has taken its own 'error' listener off: without another one a reset would end the process.
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
      // Other streams do not count what was written, so whether they were answered is unknown.
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
