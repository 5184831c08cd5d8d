import type { WebSocket } from 'ws'
import { TokenBuckets, type RateLimit } from './rate-limit.ts'

/** Who may want the socket not to be read. */
const HOLDERS = { mailbox: 1, handler: 2, rateLimit: 4 } as const

/** Whether the socket is read: as long as nobody holds it. */
export class Reading {
  readonly #websocket: WebSocket
  readonly #buckets: TokenBuckets | undefined
  readonly #over: RateLimit['over']
  #holds = 0
  #released = false
  #timer: NodeJS.Timeout | undefined

  constructor (websocket: WebSocket, rateLimit: RateLimit | undefined) {
    this.#websocket = websocket
    this.#buckets = rateLimit && new TokenBuckets(rateLimit, performance.now())
    this.#over = rateLimit?.over
  }

  get held (): boolean {
    return this.#holds !== 0
  }

  /** Holds the socket, or lets go of it. False when that holder did so already. */
  hold (by: keyof typeof HOLDERS, on: boolean): boolean {
    const before = this.#holds
    this.#holds = on ? before | HOLDERS[by] : before & ~HOLDERS[by]
    if (before === this.#holds) return false
    if (this.#released || (before === 0) === (this.#holds === 0)) return true
    if (on) this.#websocket.pause()
    else this.#websocket.resume()
    return true
  }

  /**
   * Counts what came. False: it is more than the rate limit allows. With `wait` always true: like the mailbox that is a
   * brake, and what was read together is still delivered; then nothing is read until nothing is owed.
   */
  isAllowed (bytes: number): boolean {
    const waitMs = this.#buckets?.take(bytes, performance.now()) ?? 0
    if (waitMs === 0) return true
    if (this.#over !== 'wait') return false
    if (this.hold('rateLimit', true)) this.#readOnAfter(waitMs)
    return true
  }

  /** Reads on whoever holds it: at the end the peer's close frame is to be seen, or it would be cut after closeTimeoutMs. */
  release (): void {
    this.#released = true
    clearTimeout(this.#timer)
    if (this.#holds !== 0) this.#websocket.resume()
  }

  #readOnAfter (ms: number): void {
    this.#timer = setTimeout(() => {
      const waitMs = this.#buckets?.waitMs(performance.now()) ?? 0
      if (waitMs > 0) this.#readOnAfter(waitMs)
      else this.hold('rateLimit', false)
    }, ms).unref()
  }
}
