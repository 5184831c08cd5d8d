import type { ServerResponse } from 'node:http'
import { PassThrough, type Duplex } from 'node:stream'

/**
 * The response of an upgrade, with which hooks and handlers answer before the 101.
 *
 * All changes that this library makes to Node's responses are here. They replace what the HTTP
 * server does for a response: it does not watch the socket of an upgrade.
 */
export class UpgradeResponse {
  readonly #response: ServerResponse
  readonly #socket: Duplex
  /** The 'error' listeners that @fastify/websocket adds and does not remove. */
  readonly #foreignErrorListeners: ReadonlyArray<() => void>

  /**
   * Call it when @fastify/websocket has created the response. `errorListeners`: the number of
   * 'error' listeners that the socket had before.
   */
  constructor (response: ServerResponse, socket: Duplex, errorListeners: number) {
    this.#response = response
    this.#socket = socket
    this.#foreignErrorListeners =
      socket.listeners('error').slice(errorListeners) as Array<() => void>
    // The socket is closed after any answer but the 101. Node writes `Connection: close` then. The
    // header itself would cost 3 % of an upgrade: it is set, and read again for the 101.
    response.shouldKeepAlive = false
  }

  get headersSent (): boolean { return this.#response.headersSent }

  /** Call it for each 'drain' event of the socket. */
  drain (): void { emitDrain(this.#response) }

  /** Emits a 'drain' event that the socket emitted before anything listened for it. */
  drainIfMissed (): void {
    if (this.#response.writableNeedDrain && !this.#socket.writableNeedDrain) this.drain()
  }

  /**
   * Separates the response from the socket, on which the 101 has been sent. Otherwise the socket
   * would keep the response in memory, and the response would emit 'close' when the socket closes.
   */
  release (): void {
    for (const listener of this.#foreignErrorListeners) this.#socket.off('error', listener)
    this.#response.detachSocket(this.#socket as never)
  }

  /**
   * Gives the response a closed socket, as if the client had closed it, because the upgrade gets
   * another answer. Without any socket, a stream that a hook sends would stay open for ever.
   */
  abandon (): void {
    this.#response.detachSocket(this.#socket as never)
    const nowhere = new PassThrough()
    this.#response.assignSocket(nowhere as never)
    nowhere.destroy()
  }
}

/**
 * Continues a response that waits for its socket. The HTTP server does so at each 'drain' event of
 * the socket, but not after 'upgrade'.
 */
export function emitDrain (response: ServerResponse): void { response.emit('drain') }
