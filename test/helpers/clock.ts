import { performance } from 'node:perf_hooks'
import type { Teardown } from './server.ts'

/** Lets `performance.now` stand still. In ms. */
export function setClock (t: Teardown, ms: number): void {
  const now = performance.now
  t.teardown(() => { performance.now = now })
  performance.now = () => ms
}
