export interface LivenessOptions {
  /**
   * Sends a probe. Resolves with true when it was answered, and with false when the answer is not
   * known. Must not reject.
   */
  readonly probe: () => Promise<boolean>
  /** Called when a probe was answered. `sentAt`: when it was sent, in ms of `performance.now()`. */
  readonly proved: (sentAt: number) => void
  /** Called when nothing has been received for SILENT_TICKS ticks. */
  readonly silent: () => void
}

const TICK_MS = 1_000
/**
 * Counted in ticks, not in milliseconds: a process that was suspended, or whose event loop was
 * blocked, reads the received data before its next tick. With TICK_MS a silent broker is noticed
 * after 6 to 7 s; the library promises 10 s.
 */
const SILENT_TICKS = 6

/**
 * Detects a silent connection: sends a probe each second, and calls `silent` when nothing is
 * received.
 */
export class Liveness {
  readonly #options: LivenessOptions
  #timer: NodeJS.Timeout | undefined
  #isWaiting = false
  #silentTicks = 0

  constructor (options: LivenessOptions) {
    this.#options = options
  }

  /** Idempotent. */
  start (): void {
    if (this.#timer !== undefined) return
    this.#silentTicks = 0
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  /** Idempotent. */
  stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#isWaiting = false
  }

  /**
   * Resets the silence count. Call it for everything received: it shows that the other end is
   * alive, but not that all earlier publications have arrived.
   */
  heard (): void {
    this.#silentTicks = 0
  }

  #tick (): void {
    if (++this.#silentTicks > SILENT_TICKS) return this.#options.silent()
    if (!this.#isWaiting) void this.#probe()
  }

  async #probe (): Promise<void> {
    const timer = this.#timer
    const sentAt = performance.now()
    this.#isWaiting = true
    const isAnswered = await this.#options.probe()
    if (timer !== this.#timer) return
    this.#isWaiting = false
    if (!isAnswered) return
    this.heard()
    this.#options.proved(sentAt)
  }
}
