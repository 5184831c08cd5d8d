export interface TasksOwner {
  /** What a task has thrown or rejected with. */
  taskFailed (error: unknown): void
  /** The last task has settled. */
  tasksEnded (): void
}

/** A task that was started. */
export interface Task {
  /** Aborts the signal of the task. Nothing happens when it has settled. */
  readonly cancel: () => void
}

/** The tasks of `ws.run`, which run beside the mailbox. */
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
 * The error of a signal, as it is or wrapped: Node's functions that take a signal reject with an
 * AbortError of their own.
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
