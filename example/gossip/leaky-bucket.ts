/** The number of overflows at which a client is closed. */
const MAX_OVERFLOWS = 10

/**
 * A rate limit (section 10). It leaks for each whole second since the last request, so requests
 * less than a second apart leak nothing.
 */
export class LeakyBucket {
  readonly #size: number
  readonly #leakPerSecond: number
  #level = 0
  #overflows = 0
  #previousMs = 0

  constructor (size: number, leakPerSecond: number) {
    this.#size = size
    this.#leakPerSecond = leakPerSecond
  }

  /** Adds a request. */
  take (nowMs: number): 'fits' | 'full' | 'abuse' {
    const leaked = this.#leakPerSecond * Math.floor((nowMs - this.#previousMs) / 1000)
    this.#level = Math.max(0, this.#level - leaked)
    this.#previousMs = nowMs
    if (this.#level < this.#size) {
      this.#level++
      return 'fits'
    }
    return ++this.#overflows < MAX_OVERFLOWS ? 'full' : 'abuse'
  }
}
