/** Where a turn ends later than this behind its first answer, something else is done in it; the answers to so many reads do not wait for that. */
const LATE_MS = 1
const READS_WHEN_LATE = 1000

/** Nor those to so many, where the event loop was idle for this share of the time: there is nothing to be saved. It is looked at so often. */
const IDLE_SHARE = 0.05
const READS_WHEN_IDLE = 100
const LOOK_INTERVAL_MS = 1

/**
 * Whether answers to reads wait for the end of their turn: where the event loop is busy with them.
 *
 * Where it is not, those who wait for an answer are who is waited for, and they begin the sooner the better.
 */
export class TurnPolicy {
  #atOnce = 0
  #lookedAt = 0
  #idleMs = 0

  /** Answers to this read wait. */
  get waits (): boolean { return this.#atOnce === 0 }

  /** One that does not wait has been handled. */
  countRead (): void { this.#atOnce-- }

  /** A turn has ended, `waitedMs` behind the first answer that has waited for it. */
  turnEnded (now: number, waitedMs: number): void {
    if (waitedMs > LATE_MS) this.#atOnce = READS_WHEN_LATE
    else if (this.#wasIdle(now)) this.#atOnce = READS_WHEN_IDLE
  }

  #wasIdle (now: number): boolean {
    const ms = now - this.#lookedAt
    if (ms < LOOK_INTERVAL_MS) return false
    const before = this.#idleMs
    this.#lookedAt = now
    this.#idleMs = performance.nodeTiming.idleTime
    return this.#idleMs - before > ms * IDLE_SHARE
  }
}
