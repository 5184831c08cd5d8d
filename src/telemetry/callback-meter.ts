import { isThenable } from '../foreign-value.ts'

/** Calls of one callback that are timed in each second, whatever their number. */
const TIMED_PER_SECOND = 256
/** Beyond them one call of as many is timed, and counts for all of them. A power of two. */
const THINNING = 64

const UNTIMED = 0

/**
 * Counts the calls of one callback on one route, and their time.
 *
 * Reading the clock twice can take longer than a small callback. So where calls are many, only some
 * are timed, and each of those counts for `THINNING` calls: `ms` is exact with up to
 * `TIMED_PER_SECOND` calls a second, and an unbiased estimate beyond that.
 */
export class CallbackMeter {
  calls = 0
  failures = 0
  /** From the call until the callback has returned, or its promise has settled. */
  ms = 0
  #budget = 0
  #budgetFrom = -Infinity

  /** A call begins. Gives what `ended` is to be given. */
  started (): number {
    this.calls++
    if (this.#budget === 0 && (this.calls & (THINNING - 1)) !== 1) return UNTIMED
    const now = performance.now()
    if (now - this.#budgetFrom >= 1000) {
      this.#budgetFrom = now
      this.#budget = TIMED_PER_SECOND
    }
    if (this.#budget === 0) return -now
    this.#budget--
    return now
  }

  /** The call has returned, thrown or settled. Given what it returns, it does nothing. */
  ended (startedAt: number): number {
    if (startedAt > 0) this.ms += performance.now() - startedAt
    else if (startedAt < 0) this.ms += (performance.now() + startedAt) * THINNING
    return UNTIMED
  }

  /** Makes one call, and gives what it gives. A promise is awaited once, as a lazy one must be. */
  measure<Result> (call: () => Result | PromiseLike<Result>): Result | PromiseLike<Result> {
    let startedAt = this.started()
    try {
      const result = call()
      if (isThenable(result)) return this.#settle(result as PromiseLike<Result>, startedAt)
      startedAt = this.ended(startedAt)
      return result
    } catch (error) {
      this.ended(startedAt)
      throw error
    }
  }

  async #settle<Result> (running: PromiseLike<Result>, startedAt: number): Promise<Result> {
    try {
      return await running
    } finally {
      this.ended(startedAt)
    }
  }
}
