/**
 * Something to do at the end of a tick: when the code that runs now has returned. Must not throw.
 */
export interface TickTask {
  endTick (): void
}

/**
 * Something to do at the end of a turn: when the event loop has handled all reads. Must not throw.
 */
export interface TurnTask {
  endTurn (): void
}

/** Where timers of connections come from. */
export interface Clock {
  setTimeout (task: () => void, ms: number): Alarm
  setInterval (task: () => void, ms: number): Alarm
  clearTimeout (alarm: Alarm): void
}

export interface Alarm {
  unref (): unknown
}

// Kept: a test of the application may mock them, and never run what they were given.
const { nextTick } = process
const { setImmediate } = globalThis

/** The tasks of one app that wait for the end of a tick or of a turn of the event loop. */
export class EventLoop {
  /** A test may move time by hand. */
  // Its `clearTimeout` takes more than what its `setTimeout` gives.
  clock: Clock = globalThis as unknown as Clock
  #tickTasks: TickTask[] = []
  #turnTasks: TurnTask[] = []

  /** Runs tasks in the order of the calls. */
  atEndOfTick (task: TickTask): void {
    if (this.#tickTasks.push(task) === 1) nextTick(this.#endTick)
  }

  /**
   * The same at the end of a turn. Not a microtask: those run before the next read, so connections
   * that keep sending infos to each other would shut out all others.
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
