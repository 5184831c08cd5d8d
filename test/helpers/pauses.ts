import type { Teardown } from './server.ts'

const TICK_MS = 50

/**
 * Measures for how long this process does not run, because the machine is busy. Returns a function
 * that returns the sum so far, in ms. An upper bound of a time that depends on timers of this
 * process has to be longer by this.
 */
export function measurePauses (t: Teardown): () => number {
  let pausedMs = 0
  let last = performance.now()
  const tick = (): void => {
    const now = performance.now()
    pausedMs += Math.max(0, now - last - TICK_MS)
    last = now
  }
  const timer = setInterval(tick, TICK_MS)
  t.teardown(() => clearInterval(timer))
  return () => {
    tick()
    return pausedMs
  }
}
