import { performance } from 'node:perf_hooks'
import type { Teardown } from './server.ts'

/** What `performance.now` gives, one after the other; the last one again and again. In ms. */
export function setClock (t: Teardown, ...times: number[]): void {
  const now = performance.now
  t.teardown(() => { performance.now = now })
  performance.now = () => times.length > 1 ? times.shift() as number : times[0] as number
}

/** For how long the event loop has been idle, in ms. */
export function setIdleTime (t: Teardown, ms: number): void {
  const { nodeTiming } = performance
  const descriptor = Object.getOwnPropertyDescriptor(nodeTiming, 'idleTime') as PropertyDescriptor
  t.teardown(() => Object.defineProperty(nodeTiming, 'idleTime', descriptor))
  Object.defineProperty(nodeTiming, 'idleTime', { configurable: true, get: () => ms })
}
