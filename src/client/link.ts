import type { SafeCall } from './safe-call.ts'
import { Liveness, type Ping } from './liveness.ts'
import { ABNORMAL, NORMAL, drawWaitMs, isHopeless, isRetryable } from './retry.ts'
import type {
  ClientState, ConnectionEnd, LinkOptions, Url, UrlFunction, WebSocketConstructor, WebSocketLike
} from './types.ts'

// After a connection that lasted this long the failures are counted from 0, so the next wait is
// short.
const HELD_MS = 5000
const OPEN = 1

/** Globals that not every environment has. */
interface Environment {
  readonly WebSocket?: WebSocketConstructor
  readonly document?: { readonly hidden: boolean }
  addEventListener? (
    type: string, listener: (event: { type: string }) => void, options: { signal: AbortSignal }
  ): void
}

const environment: Environment = globalThis as Environment

interface Socket extends WebSocketLike {
  binaryType: string
  onopen: (event: unknown) => void
  onerror: (event: unknown) => void
  onmessage: (event: { readonly data: unknown }) => void
  onclose: (event: ConnectionEnd) => void
}

export interface LinkEvents {
  /** The socket is open. Called before the listeners of the state. */
  readonly opened: () => void
  readonly received: (data: unknown) => void
  readonly changed: () => void
}

/** Connects and reconnects: one WebSocket at a time, with waits between them. */
export class Link {
  /** Each change replaces the object. */
  state: ClientState = { status: 'connecting', attempt: 1 }
  readonly #url: Url | UrlFunction
  readonly #options: LinkOptions & { readonly WebSocket: WebSocketConstructor }
  readonly #events: LinkEvents
  readonly #safeCall: SafeCall
  readonly #liveness: Liveness
  /** Aborted when the client is closed, which removes its listeners. */
  readonly #life = new AbortController()
  #socket: Socket | undefined
  /**
   * The controller of the current attempt and of its connection. Code of an older attempt holds
   * another controller.
   */
  #attempt: AbortController | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  #failedAt = 0
  #openedAt = 0

  constructor (
    url: Url | UrlFunction,
    options: LinkOptions,
    ping: Ping,
    events: LinkEvents,
    safeCall: SafeCall
  ) {
    const { WebSocket = environment.WebSocket } = options
    if (!WebSocket) throw new TypeError('Pass { WebSocket }')
    this.#url = url
    this.#options = { ...options, WebSocket }
    this.#events = events
    this.#safeCall = safeCall
    this.#liveness = new Liveness(ping, this.#fail)
  }

  /** Starts the first attempt. Not done in the constructor, because events may come at once. */
  start (): void {
    const { signal } = this.#options
    const abort = (): void => this.close(NORMAL, 'aborted')
    const whileAlive = { signal: this.#life.signal }
    signal?.addEventListener('abort', abort, whileAlive)
    environment.addEventListener?.('online', this.#wake, whileAlive)
    environment.addEventListener?.('visibilitychange', this.#wake, whileAlive)
    if (signal?.aborted) abort()
    else this.#connect()
  }

  /** The socket when data can be sent on it. Undefined during the closing handshake. */
  get open (): WebSocketLike | undefined {
    return this.#socket?.readyState === OPEN ? this.#socket : undefined
  }

  close (code: number, reason: string): void {
    // Throws for an invalid code, before the state changes.
    this.#socket?.close(code, reason)
    this.#finish({ code, reason })
  }

  readonly #wake = ({ type }: { type: string }): void => {
    if (type === 'online') this.#failures = 0
    else if (environment.document?.hidden) return
    if (this.state.status === 'waiting') this.#connect()
    else if (this.state.status === 'open') this.#liveness.check(true)
  }

  #connect (): void {
    const attempt = this.#attempt = new AbortController()
    const { connectTimeoutMs = 10_000 } = this.#options
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.#fail, connectTimeoutMs, 'timeout')
    this.#set({ status: 'connecting', attempt: this.#failures + 1 })
    void this.#open(attempt)
  }

  async #open (attempt: AbortController): Promise<void> {
    const url = this.#url
    try {
      // A turn later, so that `connect` has returned before the `url` function is called.
      await Promise.resolve()
      if (attempt !== this.#attempt) return
      const found = typeof url === 'function' ? await url({ signal: attempt.signal }) : url
      if (attempt !== this.#attempt) return
      const { WebSocket, protocols } = this.#options
      this.#listen(new WebSocket(found, protocols) as Socket)
    } catch (error) {
      // A fixed URL that is invalid stays invalid, so this failure is final. A function may return
      // another one.
      if (attempt === this.#attempt) {
        this.#end({ code: ABNORMAL, reason: 'failed', error }, typeof url !== 'function')
      }
    }
  }

  #listen (socket: Socket): void {
    this.#socket = socket
    // A replaced socket may still emit events. The listeners stay, because ws throws an error that
    // has no listener.
    const whileCurrent = <E>(listener: (event: E) => void) => (event: E): void => {
      if (socket === this.#socket) listener(event)
    }
    socket.binaryType = 'arraybuffer'
    // Node 22 (undici 6) emits no close event for a connection that never opened.
    socket.onerror = whileCurrent(() => {
      if (this.state.status !== 'open') this.#fail('failed')
    })
    socket.onclose = whileCurrent(({ code, reason }) => this.#end({ code, reason }))
    socket.onmessage = whileCurrent(({ data }) => {
      this.#liveness.hear()
      this.#events.received(data)
    })
    socket.onopen = whileCurrent(() => {
      clearTimeout(this.#timer)
      this.#openedAt = Date.now()
      this.#liveness.start()
      const open = this.state = { status: 'open' }
      this.#events.opened()
      // `onOpen` may have closed the client.
      if (this.state === open) this.#events.changed()
    })
  }

  readonly #fail = (reason: string): void => this.#end({ code: ABNORMAL, reason })

  /**
   * Handles a failed attempt or an ended connection: waits for the next attempt, or closes the
   * client.
   */
  #end (end: ConnectionEnd, final = false): void {
    const { shouldReconnect = isRetryable, giveUp } = this.#options
    const now = Date.now()
    this.#release()
    if (this.state.status === 'open' && now - this.#openedAt >= HELD_MS) this.#failures = 0
    const attempts = ++this.#failures
    if (attempts === 1) this.#failedAt = now
    const failure = {
      ...end, attempts, elapsedMs: now - this.#failedAt, opened: this.#openedAt > 0
    }
    if (final || !this.#safeCall(() => shouldReconnect(end))) return this.#finish(end)
    if (this.#safeCall(() => isHopeless(failure, giveUp))) {
      return this.#finish({
        ...end,
        reason: `gave up after ${attempts} attempts: ${end.reason || end.code}`
      })
    }
    // `shouldReconnect` or `giveUp` may have closed the client.
    if (this.state.status === 'closed') return
    const waitMs = drawWaitMs(attempts, end.code, this.#options)
    this.#timer = setTimeout(() => this.#connect(), waitMs)
    this.#set({ status: 'waiting', until: now + waitMs, ...end })
  }

  #finish (end: ConnectionEnd): void {
    if (this.state.status === 'closed') return
    this.#release()
    this.#life.abort()
    this.#set({ status: 'closed', ...end })
  }

  #release (): void {
    const socket = this.#socket
    clearTimeout(this.#timer)
    this.#liveness.stop()
    this.#attempt?.abort()
    this.#socket = this.#attempt = undefined
    socket?.close()
  }

  #set (state: ClientState): void {
    this.state = state
    this.#events.changed()
  }
}
