export interface TasksOwner {
  /** A task has thrown or rejected. */
  taskFailed (error: unknown): void
  /** The last task has settled. */
  tasksEnded (): void
}

/** A started task. */
export interface Task {
  /** Aborts the signal of the task. Does nothing after the task has settled. */
  readonly cancel: () => void
}

/** The tasks of `ws.run`, which run beside the callbacks. */
export class Tasks {
  readonly #owner: TasksOwner
  readonly #running = new Set<AbortController>()

  constructor (owner: TasksOwner) {
    this.#owner = owner
  }

  get running (): boolean { return this.#running.size > 0 }

  start (task: (signal: AbortSignal) => unknown): Task {
    const controller = new AbortController()
    this.#running.add(controller)
    void this.#run(task, controller)
    return { cancel: () => controller.abort() }
  }

  cancelAll (): void {
    for (const controller of this.#running) controller.abort()
  }

  async #run (task: (signal: AbortSignal) => unknown, controller: AbortController): Promise<void> {
    try {
      await task(controller.signal)
    } catch (error) {
      if (!isAbort(error, controller.signal)) this.#owner.taskFailed(error)
    }
    this.#running.delete(controller)
    if (!this.running) this.#owner.tasksEnded()
  }
}

/**
 * True for the reason of the aborted signal, an error with that cause, or an AbortError, with which
 * Node's functions reject.
 */
function isAbort (error: unknown, { aborted, reason }: AbortSignal): boolean {
  if (!aborted) return false
  try {
    return (
      error === reason ||
      (error as { name?: unknown }).name === 'AbortError' ||
      (error as { cause?: unknown }).cause === reason
    )
  } catch {
    return false
  }
}
