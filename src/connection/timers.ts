import { FST_WEBSOCK_INVALID_DELAY } from '../errors.ts'
import type { Alarm, Clock } from '../event-loop.ts'
import type { Letter } from './mailbox.ts'

export interface Timer {
  /**
   * Stops the timer. Does nothing after its end. An info that waits in the mailbox still arrives.
   */
  readonly cancel: () => void
}

// Node would run a longer timer after 1 ms, with a warning.
const MAX_DELAY_MS = 2_147_483_647

/**
 * The letter of an interval. All its ticks use the same letter, which is not posted again while it
 * waits.
 */
export interface Tick extends Letter {
  readonly type: 'tick'
  readonly info: unknown
  waiting: boolean
}

export interface TimersOwner {
  readonly sharing: { readonly loop: { readonly clock: Clock } }
  /** True once the connection has begun to end. No timer starts then. */
  readonly ending: boolean
  offer (info: unknown): boolean
  offerLetter (tick: Tick): boolean
}

/**
 * The timers of a connection, which post infos to its mailbox. No timer keeps the process alive.
 */
export class Timers {
  readonly #owner: TimersOwner
  readonly #clock: Clock
  readonly #running = new Set<Alarm>()
  #ended = false

  constructor (owner: TimersOwner) {
    this.#owner = owner
    this.#clock = owner.sharing.loop.clock
  }

  /** Posts `info` once, after `ms` (0 to 2 147 483 647). Throws FST_WEBSOCK_INVALID_DELAY. */
  postAfter (info: unknown, ms: number): Timer {
    checkDelay(ms, 0)
    return this.#start(() => {
      const timeout = this.#clock.setTimeout(() => {
        this.#running.delete(timeout)
        this.#owner.offer(info)
      }, ms)
      return timeout
    })
  }

  /**
   * Posts `info` each `ms` (1 to 2 147 483 647), unless the last one still waits in the mailbox.
   * Throws FST_WEBSOCK_INVALID_DELAY.
   */
  postInterval (info: unknown, ms: number): Timer {
    checkDelay(ms, 1)
    const tick: Tick = { type: 'tick', info, waiting: false }
    return this.#start(() => this.#clock.setInterval(() => {
      if (!tick.waiting) tick.waiting = this.#owner.offerLetter(tick)
    }, ms))
  }

  endAll (): void {
    this.#ended = true
    for (const timeout of this.#running) this.#clock.clearTimeout(timeout)
    this.#running.clear()
  }

  #start (open: () => Alarm): Timer {
    if (this.#ended || this.#owner.ending) return { cancel () {} }
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
