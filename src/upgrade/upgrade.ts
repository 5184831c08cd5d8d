import {
  STATUS_CODES,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse
} from 'node:http'
import { PassThrough, type Duplex } from 'node:stream'
import type { FastifyError, FastifyReply } from 'fastify'
import type { EventLoop, TurnTask } from '../event-loop.ts'
import { FST_WEBSOCK_UPGRADE_TIMEOUT } from '../errors.ts'
import { copyHandshake } from './handshake.ts'

/** The value of `Retry-After`, in seconds (RFC 9110 §10.2.3). */
export const RETRY_AFTER_SECONDS = 5

/** Who is told what becomes of upgrades. */
export interface UpgradeObserver {
  /**
   * It was answered, and not with a 101. `route`: as declared, or empty when none was found yet.
   * `code`: of the error, or empty.
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
 * One upgrade on its way: from the request until the 101, or until the refusal has reached the
 * client and the socket is closed.
 *
 * Nothing of Fastify or Node times a hook during an upgrade or closes the socket after its answer,
 * so this does.
 */
export class Upgrade implements TurnTask {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  /**
   * Those that the handshake is about, as they came: a schema of the route's may convert those of
   * the request, or remove what it does not name.
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
  #response: ServerResponse | undefined
  #timer: NodeJS.Timeout | undefined
  #watched = false
  #over = false
  #ended = false
  /** What @fastify/websocket listens to errors with, which it leaves there. */
  #foreignErrorListeners: ReadonlyArray<() => void> = []
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
   * Starts the time limit at the end of this turn. Most upgrades are over then, and need neither a
   * timer nor a listener.
   */
  watch (): void {
    if (!this.#ended) this.#loop.atEndOfTurn(this)
  }

  endTurn (): void {
    if (this.#ended) return
    this.#watched = true
    if (this.socket.destroyed) return this.#end()
    this.socket.on('close', this.#end).on('drain', this.#drain)
    // It may have come already.
    if (this.#response?.writableNeedDrain === true && !this.socket.writableNeedDrain) this.#drain()
    if (this.#timer === undefined) this.#restart(this.#timeOut, this.#timeouts.upgradeTimeoutMs)
  }

  /** Answered by us, upgraded, or closed by the client: hooks cannot answer any more. */
  get over (): boolean {
    return this.#over
  }

  /** There is a response for it, so hooks and handlers are at work. */
  get routed (): boolean {
    return this.#response !== undefined
  }

  /** The response that hooks and handlers answer with, while there is no 101. */
  answerWith (response: ServerResponse): void {
    this.#response = response
    this.#foreignErrorListeners = this.socket.listeners('error').slice(this.#errorListeners) as Array<() => void>
    response.shouldKeepAlive = false
    // The HTTP server does this and passes 'drain' on for its own sockets, but it has let go of
    // this one.
    response.once('finish', () => this.#hangUp(response.statusCode))
  }

  /** The route's handler was reached: the answer that it sends now is the 101. */
  admit (reply: FastifyReply): void {
    this.#admitted = true
    // Not by `reply.code`: an error finds its own status only where none was set.
    reply.raw.statusCode = 101
  }

  /** The 101 did not come about, an error is answered. */
  withdraw (reply: FastifyReply, error: Error): void {
    this.#code = codeOf(error)
    if (!this.#admitted) return
    this.#admitted = false
    if (reply.statusCode === 101) reply.raw.statusCode = 200
  }

  /** Tells, once, whether the answer on its way is the 101, and not that of an onSend hook. */
  takeAdmission (reply: FastifyReply): boolean {
    // A hook that has begun an answer by itself has set its status.
    const admitted = this.#admitted && (reply.statusCode === 101 || reply.raw.headersSent)
    this.#admitted = false
    return admitted
  }

  /**
   * The route is known. It may give its hooks more time than the plugin does, or less: then counted
   * from now.
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

  /** The 101 has been written: removes all listeners from the socket. */
  accept (): void {
    for (const listener of [destroy, ...this.#foreignErrorListeners]) this.socket.off('error', listener)
    if (this.#watched) this.socket.off('close', this.#end).off('drain', this.#drain)
    this.#response?.detachSocket(this.socket as never)
    this.#end()
  }

  /**
   * Answers past Fastify and hangs up, unless an answer is under way. A hook that answers after all
   * writes into a response whose socket is closed: into the one in use, its second head would be an
   * exception that nobody catches.
   */
  refuse (error: FastifyError, headers: Readonly<Record<string, number>> = {}): void {
    if (this.#over) return
    this.#restart(() => this.socket.destroy(), this.#timeouts.closeTimeoutMs)
    if (this.#response?.headersSent === true) return
    this.#abandonResponse()
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
   * To the hooks it is as if the client had gone. Without a socket at all, a stream that they send
   * would stay open for ever.
   */
  #abandonResponse (): void {
    if (this.#response === undefined) return
    this.#response.detachSocket(this.socket as never)
    const nowhere = new PassThrough()
    this.#response.assignSocket(nowhere as never)
    nowhere.destroy()
  }

  /**
   * Closes our side and reads on until the client closes its own: destroyed with bytes unread, TCP
   * would answer with a reset, and the client might lose the refusal (RFC 9112 §9.6).
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

  readonly #drain = (): void => { this.#response?.emit('drain') }

  readonly #end = (): void => {
    this.#over = true
    this.#ended = true
    clearTimeout(this.#timer)
    this.#onEnd()
  }
}

/** Empty for an error without one. */
function codeOf ({ code }: Error & { readonly code?: unknown }): string {
  return typeof code === 'string' ? code : ''
}

function destroy (this: Duplex): void {
  this.destroy()
}
