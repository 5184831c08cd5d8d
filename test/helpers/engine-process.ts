import { fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import type { Teardown } from './server.ts'

/**
 * Starts a process that serves engines of this kind to the suite. It is killed when the test ends.
 */
export function forkEngines (
  t: Teardown,
  kind: string,
  port: number,
  mode: 'plain' | 'sharded' = 'plain'
): ChildProcess {
  // Without the flags and variables of this process, as in server-process.ts.
  const child = fork(resolve(__dirname, '../fixtures/engine-process.js'), [kind, `${port}`, mode], {
    execArgv: [],
    env: { PATH: process.env['PATH'] }
  })
  // A test with an uncaught exception ends without its teardown, and a paused child does not notice
  // that.
  const kill = (): void => { child.kill('SIGKILL') }
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  t.teardown(kill)
  return child
}
