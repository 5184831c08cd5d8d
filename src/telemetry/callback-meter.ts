import { isThenable } from '../foreign-value.ts'

/** Number of calls of one callback that are timed in each second. */
const TIMED_PER_SECOND = 256
/**
 * Of the further calls, one in THINNING is timed, and counts for THINNING calls. A power of two.
 */
const THINNING = 64

const UNTIMED = 0

/**
 * Counts the calls of one callback on one route, and measures their time.
 *
 * Reading the clock twice can take longer than a small callback. So only some of many calls are
 * timed, and each of those counts for `THINNING` calls. `ms` is exact for up to `TIMED_PER_SECOND`
 * calls a second, and an unbiased estimate for more.
 */
export class CallbackMeter {
  calls = 0
  failures = 0
  /** Time from the call until the callback has returned or its promise has settled. */
  ms = 0
  #budget = 0
  #budgetFrom = -Infinity

  /** Begins a call. Returns the argument for `ended`. */
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

  /**
   * Ends a call that has returned, thrown or settled. Returns a value with which a second `ended`
   * does nothing.
   */
  ended (startedAt: number): number {
    if (startedAt > 0) this.ms += performance.now() - startedAt
    else if (startedAt < 0) this.ms += (performance.now() + startedAt) * THINNING
    return UNTIMED
  }

  /**
   * Makes one call and returns its result. A promise is awaited only once, because `then` of a lazy
   * promise starts its work.
   */
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
