import { fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import type { Teardown } from './server.ts'

/** A process that serves engines of this kind to the suite; killed when the test ends. */
export function forkEngines (
  t: Teardown,
  kind: string,
  port: number,
  mode: 'plain' | 'sharded' = 'plain'
): ChildProcess {
  // Its own flags and surroundings, as in server-process.ts.
  const child = fork(resolve(__dirname, '../fixtures/engine-process.js'), [kind, `${port}`, mode], {
    execArgv: [],
    env: { PATH: process.env['PATH'] }
  })
  // A test that throws where nobody catches is over without its teardown, and one that stands still
  // does not see that.
  const kill = (): void => { child.kill('SIGKILL') }
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  t.teardown(kill)
  return child
}
