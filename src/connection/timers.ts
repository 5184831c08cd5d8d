import { FST_WEBSOCK_INVALID_DELAY } from '../errors.ts'
import type { Alarm, Clock } from '../event-loop.ts'

export interface Timer {
  /** Nothing happens when it is over already. An info that waits in the mailbox still arrives. */
  readonly cancel: () => void
}

// Node fires a longer one after 1 ms, with a warning.
const MAX_DELAY_MS = 2_147_483_647

/** Every timer of a connection, ended together. None keeps the process alive. */
export class Timers {
  readonly #clock: Clock
  readonly #running = new Set<Alarm>()
  #ended = false

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /**
   * Runs `task` once, after `ms` (0 to 2 147 483 647). Throws FST_WEBSOCK_INVALID_DELAY; does
   * nothing once ended.
   */
  after (ms: number, task: () => void): Timer {
    checkDelay(ms, 0)
    return this.#start(() => {
      const timeout = this.#clock.setTimeout(() => {
        this.#running.delete(timeout)
        task()
      }, ms)
      return timeout
    })
  }

  /** Runs `task` each `ms` (1 to 2 147 483 647). */
  every (ms: number, task: () => void): Timer {
    checkDelay(ms, 1)
    return this.#start(() => this.#clock.setInterval(task, ms))
  }

  endAll (): void {
    this.#ended = true
    for (const timeout of this.#running) this.#clock.clearTimeout(timeout)
    this.#running.clear()
  }

  #start (open: () => Alarm): Timer {
    if (this.#ended) return { cancel () {} }
    const timeout = open()
    timeout.unref()
    this.#running.add(timeout)
    return {
      cancel: () => {
        this.#clock.clearTimeout(timeout)
        this.#running.delete(timeout)
      }
    }
  }
}

function checkDelay (ms: number, from: number): void {
  if (!(ms >= from && ms <= MAX_DELAY_MS)) throw new FST_WEBSOCK_INVALID_DELAY(from, String(ms))
}
