/** How much fits, and how much leaks in a second. */
export interface BucketSize {
  readonly size: number
  readonly leak: number
}

/** Over the size so often, and it is abuse. */
const MAX_OVERFLOWS = 10

/**
 * Section 10: leaks whole seconds since the previous request, so what comes faster than once a
 * second never leaks.
 */
export class LeakyBucket {
  readonly #size: BucketSize
  #level = 0
  #overflows = 0
  #previousMs = 0

  constructor (size: BucketSize) {
    this.#size = size
  }

  /** One request more. Tells whether it fits, or how it does not. */
  take (nowMs: number): 'fits' | 'full' | 'abuse' {
    const { size, leak } = this.#size
    this.#level = Math.max(0, this.#level - leak * Math.floor((nowMs - this.#previousMs) / 1000))
    this.#previousMs = nowMs
    if (this.#level < size) {
      this.#level++
      return 'fits'
    }
    return ++this.#overflows < MAX_OVERFLOWS ? 'full' : 'abuse'
  }
}
