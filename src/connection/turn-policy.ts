/** Where a turn ends later than this behind its first answer, something else is done in it; the answers to so many reads do not wait for that. */
const LATE_MS = 1
const READS_WHEN_LATE = 1000

/** Nor those to so many, where fewer answers wait together, in the mean of the last turns: little is saved then. */
const FEW_ANSWERS = 16
const READS_WHEN_FEW = 100

/** What a turn weighs in that mean. */
const WEIGHT = 1 / 8

/**
 * Whether answers to reads wait for the end of their turn: where many do.
 *
 * Where few do, the peers would be idle meanwhile, and this process after them, each waiting for the other.
 */
export class TurnPolicy {
  #atOnce = 0
  #waiting = 0
  #meanWaiting = 0

  /** The answer to this read waits. */
  get waits (): boolean { return this.#atOnce === 0 }

  /** One has been handled whose answer did not wait. */
  countAtOnce (): void { this.#atOnce-- }

  /** One has been handled whose answer waits. */
  countWaiting (): void { this.#waiting++ }

  /** A turn has ended, so long behind the first answer that still waited. */
  turnEnded (waitedMs: number): void {
    this.#meanWaiting += (this.#waiting - this.#meanWaiting) * WEIGHT
    this.#waiting = 0
    if (waitedMs > LATE_MS) this.#atOnce = READS_WHEN_LATE
    else if (this.#meanWaiting < FEW_ANSWERS) this.#atOnce = READS_WHEN_FEW
  }
}
