import {
  STATUS_CODES,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyReply } from 'fastify'
import type { EventLoop, TurnTask } from '../event-loop.ts'
import { FST_WEBSOCK_UPGRADE_TIMEOUT } from '../errors.ts'
import { copyHandshake } from './handshake.ts'
import { UpgradeResponse } from './upgrade-response.ts'

/** The value of `Retry-After`, in seconds (RFC 9110 §10.2.3). */
export const RETRY_AFTER_SECONDS = 5

/** Receives the outcome of upgrades. */
export interface UpgradeObserver {
  /**
   * The upgrade got an answer other than the 101. `route`: the declared URL, or empty when no route
   * was found yet. `code`: of the error, or empty.
   */
  upgradeRefused (
    request: IncomingMessage,
    answer: { readonly route: string, readonly statusCode: number, readonly code: string }
  ): void
}

export interface UpgradeTimeouts {
  readonly upgradeTimeoutMs: number
  readonly closeTimeoutMs: number
}

/**
 * One upgrade: from the request until the 101, or until the refusal has reached the client and the
 * socket is closed.
 *
 * Sets the time limits of the hooks and closes the socket after the answer, because neither Fastify
 * nor Node does so for an upgrade.
 */
export class Upgrade implements TurnTask {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  /**
   * The headers of the handshake as the client sent them. A schema of the route may convert the
   * headers of the request, or remove some.
   */
  readonly headers: IncomingHttpHeaders
  #admitted = false
  readonly #onEnd: () => void
  readonly #observer: UpgradeObserver
  #route = ''
  /** Of the error that is answered. */
  #code = ''
  #isRefused = false
  readonly #loop: EventLoop
  #timeouts: UpgradeTimeouts
  #response: UpgradeResponse | undefined
  #timer: NodeJS.Timeout | undefined
  #watched = false
  #over = false
  #ended = false
  readonly #errorListeners: number

  constructor (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    timeouts: UpgradeTimeouts,
    loop: EventLoop,
    observer: UpgradeObserver,
    onEnd: () => void
  ) {
    this.request = request
    this.socket = socket
    this.head = head
    this.headers = copyHandshake(request.headers)
    this.#observer = observer
    this.#onEnd = onEnd
    this.#loop = loop
    this.#timeouts = timeouts
    socket.on('error', destroy)
    this.#errorListeners = socket.listenerCount('error')
  }

  /**
   * Starts the time limit at the end of this turn. Most upgrades have ended by then, and need
   * neither a timer nor a listener.
   */
  watch (): void {
    if (!this.#ended) this.#loop.atEndOfTurn(this)
  }

  endTurn (): void {
    if (this.#ended) return
    this.#watched = true
    if (this.socket.destroyed) return this.#end()
    this.socket.on('close', this.#end).on('drain', this.#drain)
    this.#response?.drainIfMissed()
    if (this.#timer === undefined) this.#restart(this.#timeOut, this.#timeouts.upgradeTimeoutMs)
  }

  /**
   * True when hooks cannot answer any more: the upgrade is refused, upgraded, or closed by the
   * client.
   */
  get over (): boolean {
    return this.#over
  }

  /** True when the upgrade has a response, so that hooks and handlers run. */
  get routed (): boolean {
    return this.#response !== undefined
  }

  /** Sets the response that hooks and handlers answer with before the 101. */
  answerWith (response: ServerResponse): void {
    this.#response = new UpgradeResponse(response, this.socket, this.#errorListeners)
    response.once('finish', () => this.#hangUp(response.statusCode))
  }

  /** Marks the next answer as the 101. Called when the route's handler was reached. */
  admit (reply: FastifyReply): void {
    this.#admitted = true
    // Not with `reply.code`: Fastify uses the status of an error only when `reply.code` was not
    // called.
    reply.raw.statusCode = 101
  }

  /** Takes the 101 back, because an error is answered. */
  withdraw (reply: FastifyReply, error: Error): void {
    this.#code = codeOf(error)
    if (!this.#admitted) return
    this.#admitted = false
    if (reply.statusCode === 101) reply.raw.statusCode = 200
  }

  /** Tells, once, whether the current answer is the 101, and not an answer of an onSend hook. */
  takeAdmission (reply: FastifyReply): boolean {
    // A hook that writes an answer itself has changed the status.
    const admitted = this.#admitted && (reply.statusCode === 101 || reply.raw.headersSent)
    this.#admitted = false
    return admitted
  }

  /**
   * Sets the route and its time limits. When its `upgradeTimeoutMs` differs from the plugin's, the
   * time starts again from now.
   */
  setRoute (url: string, timeouts: UpgradeTimeouts): void {
    this.#route = url
    if (this.#over) return
    const { upgradeTimeoutMs } = timeouts
    if (this.#timer !== undefined && upgradeTimeoutMs !== this.#timeouts.upgradeTimeoutMs) {
      this.#restart(this.#timeOut, upgradeTimeoutMs)
    }
    this.#timeouts = timeouts
  }

  /** Removes all listeners from the socket. Called when the 101 has been written. */
  accept (): void {
    this.socket.off('error', destroy)
    if (this.#watched) this.socket.off('close', this.#end).off('drain', this.#drain)
    this.#response?.release()
    this.#end()
  }

  /**
   * Answers without Fastify and closes the socket, unless an answer has begun.
   *
   * A hook that answers later writes into a response whose socket is closed. In the response that
   * is in use, a second head would throw an exception that nothing catches.
   */
  refuse (error: FastifyError, headers: Readonly<Record<string, number>> = {}): void {
    if (this.#over) return
    this.#restart(() => this.socket.destroy(), this.#timeouts.closeTimeoutMs)
    if (this.#response?.headersSent === true) return
    this.#response?.abandon()
    this.#over = true
    const status = error.statusCode ?? 503
    this.#code = codeOf(error)
    const body = JSON.stringify({
      statusCode: status,
      code: error.code,
      error: STATUS_CODES[status],
      message: error.message
    })
    this.socket.write([
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body
    ].join('\r\n'))
    this.#hangUp(status)
  }

  /**
   * Ends the socket and reads on until the client ends it too. A socket that is destroyed with
   * unread bytes sends a TCP reset, and the client may lose the refusal (RFC 9112 §9.6).
   */
  #hangUp (statusCode: number): void {
    if (!this.#isRefused) {
      this.#isRefused = true
      this.#observer.upgradeRefused(this.request, {
        route: this.#route,
        statusCode,
        code: this.#code
      })
    }
    this.#restart(() => this.socket.destroy(), this.#timeouts.closeTimeoutMs)
    this.socket.once('end', () => this.socket.destroy())
    this.socket.end()
    this.socket.resume()
  }

  #restart (task: () => void, ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(task, ms)
  }

  readonly #timeOut = (): void => {
    this.refuse(new FST_WEBSOCK_UPGRADE_TIMEOUT(this.#timeouts.upgradeTimeoutMs))
  }

  readonly #drain = (): void => { this.#response?.drain() }

  readonly #end = (): void => {
    this.#over = true
    this.#ended = true
    clearTimeout(this.#timer)
    this.#onEnd()
  }
}

/** The code of an error, or an empty string. */
function codeOf ({ code }: Error & { readonly code?: unknown }): string {
  return typeof code === 'string' ? code : ''
}

function destroy (this: Duplex): void {
  this.destroy()
}
