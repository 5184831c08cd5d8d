import { setImmediate as nextTurn, setTimeout as later } from 'node:timers/promises'
import type { DrainOptions } from './options.ts'
import type { ConnectionRegistry } from './connection-registry.ts'

/**
 * Refuses new connections, calls `handleDrain`, and closes the connections in batches. After
 * `timeoutMs` it closes the sockets of the remaining connections. Model: Phoenix's socket drainer.
 *
 * Resolves when all connections have ended, with the number of those that remained: 0 is a clean
 * drain. Never rejects. Takes at most `timeoutMs` plus twice `terminateTimeoutMs`.
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
  // The callbacks run at the end of this turn. Their messages are sent before the close frame, also
  // of those that take longer: `shutDown` waits for a running callback.
  if (told.length > 0) await nextTurn()
  for (let from = 0; from < connections.length; from += batchSize) {
    if (from > 0) await waitUnless(over.signal, batchIntervalMs)
    if (over.signal.aborted) break
    for (const connection of connections.slice(from, from + batchSize)) connection.shutDown(code)
  }
  await waitUnless(over.signal)
  clearTimeout(timer)
  const left = [...registry.values()]
  for (const connection of left) {
    // A connection whose callback hangs, or whose batch was not reached, has no close frame yet.
    connection.shutDownNow({ code, reason: '' })
    connection.destroy()
  }
  await gone
  return left.length
}

/**
 * Waits until `ms` have passed or the signal is aborted. Without `ms`, until the signal is aborted.
 */
async function waitUnless (signal: AbortSignal, ms?: number): Promise<void> {
  if (signal.aborted) return
  const over = new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
  })
  // `later` rejects when the signal is aborted, which ends the wait.
  await (ms === undefined ? over : later(ms, undefined, { signal }).catch(() => {}))
}
