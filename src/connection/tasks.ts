export interface TasksOwner {
  readonly signal: AbortSignal
  /** What a task has thrown or rejected with. */
  taskFailed (error: unknown): void
  /** The last task has settled. */
  tasksEnded (): void
}

/** The tasks of `ws.run`, which run beside the mailbox. */
export class Tasks {
  readonly #owner: TasksOwner
  #running = 0

  constructor (owner: TasksOwner) {
    this.#owner = owner
  }

  get running (): boolean { return this.#running > 0 }

  async run (task: (signal: AbortSignal) => unknown): Promise<void> {
    const { signal } = this.#owner
    this.#running++
    try {
      await task(signal)
    } catch (error) {
      // Once aborted, a task may end with the error of its signal.
      if (!signal.aborted || error !== signal.reason) this.#owner.taskFailed(error)
    }
    if (--this.#running === 0) this.#owner.tasksEnded()
  }
}
