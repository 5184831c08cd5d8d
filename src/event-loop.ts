/**
 * A task for the end of a tick: it runs when the current synchronous code has returned. Must not
 * throw.
 */
export interface TickTask {
  endTick (): void
}

/**
 * A task for the end of a turn: it runs when the event loop has handled all reads. Must not throw.
 */
export interface TurnTask {
  endTurn (): void
}

/** Creates the timers of connections. */
export interface Clock {
  setTimeout (task: () => void, ms: number): Alarm
  setInterval (task: () => void, ms: number): Alarm
  clearTimeout (alarm: Alarm): void
}

export interface Alarm {
  unref (): unknown
}

// Taken once: a test of the application may mock these functions and never run their tasks.
const { nextTick } = process
const { setImmediate } = globalThis

/** Runs the tasks of one app at the end of a tick or of a turn of the event loop. */
export class EventLoop {
  /** Replaced by tests that advance time themselves. */
  // A cast, because `clearTimeout` of Node does not accept every `Alarm`.
  clock: Clock = globalThis as unknown as Clock
  #tickTasks: TickTask[] = []
  #turnTasks: TurnTask[] = []

  /** Runs a task at the end of the tick, in the order of the calls. */
  atEndOfTick (task: TickTask): void {
    if (this.#tickTasks.push(task) === 1) nextTick(this.#endTick)
  }

  /**
   * Runs a task at the end of the turn, in the order of the calls. Not in a microtask: microtasks
   * run before the next read, so connections that keep posting infos to each other would block all
   * others.
   */
  atEndOfTurn (task: TurnTask): void {
    if (this.#turnTasks.push(task) === 1) setImmediate(this.#endTurn)
  }

  readonly #endTick = (): void => {
    const due = this.#tickTasks
    this.#tickTasks = []
    for (const task of due) task.endTick()
  }

  readonly #endTurn = (): void => {
    const due = this.#turnTasks
    this.#turnTasks = []
    for (const task of due) task.endTurn()
  }
}
