import { setImmediate as nextTurn, setTimeout as later } from 'node:timers/promises'
import type { DrainOptions } from './options.ts'
import type { ConnectionRegistry } from './connection-registry.ts'

/**
 * Refuses new connections, calls `handleDrain`, closes the connections in batches, and destroys
 * those that are left after `timeoutMs`. Model: Phoenix's socket drainer.
 *
 * Resolves when all have ended, with the number that had to be destroyed: 0 is a clean drain. Never
 * rejects. Takes at most `timeoutMs` and twice `terminateTimeoutMs`.
 */
export async function drain (
  registry: ConnectionRegistry,
  { batchSize, batchIntervalMs, timeoutMs }: Required<DrainOptions>,
  code: number
): Promise<number> {
  registry.startDraining()
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), timeoutMs)
  const gone = registry.empty().then(() => over.abort())
  const connections = [...registry.values()]
  const told = connections.filter((connection) =>
    connection.notify({ type: 'drain', info: { timeoutMs } })
  )
  // The callbacks run at the end of this turn: their messages leave before the close frame.
  if (told.length > 0) await nextTurn()
  for (let from = 0; from < connections.length; from += batchSize) {
    if (from > 0) await waitUnless(over.signal, batchIntervalMs)
    if (over.signal.aborted) break
    for (const connection of connections.slice(from, from + batchSize)) connection.shutDown(code)
  }
  await waitUnless(over.signal)
  clearTimeout(timer)
  const left = [...registry.values()]
  for (const connection of left) connection.destroy()
  await gone
  return left.length
}

/** Waits, for ever without `ms`, but not beyond the signal. */
async function waitUnless (signal: AbortSignal, ms?: number): Promise<void> {
  if (signal.aborted) return
  const over = new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
  })
  // An early end rejects; that is what it is for.
  await (ms === undefined ? over : later(ms, undefined, { signal }).catch(() => {}))
}
