export interface LivenessOptions {
  /**
   * Resolves with true when the other end has answered, with false when nobody can tell. Does not
   * reject.
   */
  readonly probe: () => Promise<boolean>
  /** A probe that was sent at that time, in ms of `performance.now()`, has been answered. */
  readonly proved: (sentAt: number) => void
  /** Nothing has come for SILENT_TICKS ticks. */
  readonly silent: () => void
}

const TICK_MS = 1_000
/**
 * Ticks, not milliseconds: a process that stood still, or whose event loop was busy, reads what has
 * come meanwhile before the next tick. With TICK_MS a silent broker is noticed after 6 to 7 s; the
 * library promises 10 s.
 */
const SILENT_TICKS = 6

/** Watches one connection: sends a probe each second, and tells when nothing comes back. */
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

  /** Something has come: the other end is there, though perhaps behind. */
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
