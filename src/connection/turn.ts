/** Something to do at the end of a turn. Must not throw. */
export interface Task {
  endTurn (): void
}

/** Kept: a test of the application may put a mocked one in its place, and never run what that was given. */
const { setImmediate } = globalThis

let tasks: Task[] = []

/**
 * Runs a task when this turn of the event loop has handled all its reads, in the order of the calls.
 *
 * Not a microtask: those run before the next read, so connections that keep sending to each other would
 * shut out all others. One immediate serves all tasks of a turn.
 */
export function atEndOfTurn (task: Task): void {
  if (tasks.push(task) === 1) setImmediate(runTasks)
}

function runTasks (): void {
  const due = tasks
  tasks = []
  for (const task of due) task.endTurn()
}
