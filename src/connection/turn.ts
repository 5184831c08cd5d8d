let tasks: Array<() => void> = []

/**
 * Runs a task when this turn of the event loop has handled all its reads, in the order of the calls.
 *
 * Not a microtask: those run before the next read, so connections that keep sending to each other would
 * shut out all others. One immediate serves all tasks of a turn. A task must not throw.
 */
export function atEndOfTurn (task: () => void): void {
  if (tasks.push(task) === 1) setImmediate(runTasks)
}

function runTasks (): void {
  const due = tasks
  tasks = []
  for (const task of due) task()
}
