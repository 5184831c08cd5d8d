// Kept: the tests that these helpers are for may mock them.
const { clearTimeout, performance, setImmediate, setTimeout } = globalThis

/** Milliseconds of a monotonic clock that no test mocks. */
export function now (): number {
  return performance.now()
}

/** Calls once, after `ms`. Returns what cancels it. */
export function after (ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms)
  return () => clearTimeout(timer)
}

/** Resolves when this turn of the event loop is over. */
export async function turn (): Promise<void> {
  await new Promise<void>((resolve) => { setImmediate(resolve) })
}
