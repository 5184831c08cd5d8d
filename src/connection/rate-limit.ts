export interface RateLimit {
  /**
   * Number of frames that a connection may send in each interval, in a burst or spread: messages,
   * each fragment of a message, pings and pongs. 1 to 16 777 216. Default unlimited.
   */
  readonly messages?: number
  /**
   * Payload bytes that a connection may send in each interval, including those of unfinished
   * messages: 1 to 4 GiB. Default unlimited.
   */
  readonly bytes?: number
  /** Length of the interval in ms: 1 to 1 hour. Default 1 000. */
  readonly intervalMs?: number
  /**
   * What happens above the limit. `close`, the default: the connection is closed with 1008. `wait`:
   * reading is paused until the connection may send again.
   */
  readonly over?: 'close' | 'wait'
}

/** The rate limit of one connection. */
export class RateLimiter {
  readonly #buckets: TokenBuckets
  readonly #over: RateLimit['over']
  readonly #onAllowed: () => void
  #timer: NodeJS.Timeout | undefined

  /** `onAllowed`: called after a `wait`, when the buckets are no longer below zero. */
  constructor (limit: RateLimit, onAllowed: () => void) {
    this.#buckets = new TokenBuckets(limit, performance.now())
    this.#over = limit.over
    this.#onAllowed = onAllowed
  }

  /**
   * Counts received frames and bytes. Undefined: they are within the limit. `close`: close the
   * connection. `wait`: pause reading until `onAllowed`; frames that were read in the same chunk
   * are still delivered.
   */
  judge (frames: number, bytes: number): 'close' | 'wait' | undefined {
    const waitMs = this.#buckets.take(frames, bytes, performance.now())
    if (waitMs === 0) return undefined
    if (this.#over !== 'wait') return 'close'
    if (this.#timer === undefined) this.#allowAfter(waitMs)
    return 'wait'
  }

  stop (): void {
    clearTimeout(this.#timer)
  }

  #allowAfter (ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const waitMs = this.#buckets.waitMs(performance.now())
      if (waitMs > 0) this.#allowAfter(waitMs)
      else this.#onAllowed()
    }, ms).unref()
  }
}

/**
 * Two token buckets, one of messages and one of bytes. They are full at the start and refilled
 * evenly over the interval.
 */
export class TokenBuckets {
  readonly #messages: number
  readonly #bytes: number
  readonly #intervalMs: number
  #messagesLeft: number
  #bytesLeft: number
  #at: number

  constructor (
    { messages = Infinity, bytes = Infinity, intervalMs = 1000 }: RateLimit,
    now: number
  ) {
    this.#messages = this.#messagesLeft = messages
    this.#bytes = this.#bytesLeft = bytes
    this.#intervalMs = intervalMs
    this.#at = now
  }

  /**
   * Takes tokens from both buckets, which may fall below zero. Returns the ms until neither is: 0
   * when there were enough tokens. `now`: ms of a monotonic clock.
   */
  take (messages: number, bytes: number, now: number): number {
    this.#refill(now)
    this.#messagesLeft -= messages
    this.#bytesLeft -= bytes
    return this.waitMs(now)
  }

  /** Returns the ms until no bucket is below zero. */
  waitMs (now: number): number {
    this.#refill(now)
    const debt = Math.max(
      debtOf(this.#messagesLeft, this.#messages),
      debtOf(this.#bytesLeft, this.#bytes)
    )
    return Math.ceil(debt * this.#intervalMs)
  }

  #refill (now: number): void {
    const intervals = (now - this.#at) / this.#intervalMs
    this.#at = now
    this.#messagesLeft = refill(this.#messagesLeft, this.#messages, intervals)
    this.#bytesLeft = refill(this.#bytesLeft, this.#bytes, intervals)
  }
}

/** Returns the number of intervals that refill a bucket to zero. */
function debtOf (left: number, limit: number): number {
  return left < 0 ? -left / limit : 0
}

function refill (left: number, limit: number, intervals: number): number {
  return limit === Infinity ? Infinity : Math.min(limit, left + limit * intervals)
}
