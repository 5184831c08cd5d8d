// Saved when the module loads, because the tests of users may mock them later.
const { clearTimeout, performance, setImmediate, setTimeout } = globalThis

/** The time of a monotonic clock in milliseconds. Tests cannot mock it. */
export function now (): number {
  return performance.now()
}

/** Calls `task` once, after `ms`. Returns a function that cancels it. */
export function after (ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms)
  return () => clearTimeout(timer)
}

/** Resolves at the end of this turn of the event loop. */
export async function turn (): Promise<void> {
  await new Promise<void>((resolve) => { setImmediate(resolve) })
}
