import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Teardown } from './server.ts'

const ROOT = join(__dirname, '..', '..')

export interface ExampleServer {
  process: ChildProcess
  port: number
  http: (path: string) => string
  ws: (path: string) => string
  /** Stops the server with SIGTERM, like an operator. Resolves with its exit code. */
  stop: () => Promise<number | null>
}

/**
 * Starts the example server of `npm start`, on a free port or the given one, with these variables.
 * Rejects when it exits before it listens.
 */
export async function startExample (
  t: Teardown,
  port = 0,
  variables: NodeJS.ProcessEnv = {}
): Promise<ExampleServer> {
  const child = spawn(process.execPath, [join(ROOT, 'example/dist/server.js')], {
    // Without tap's variables, which would measure the child's coverage and slow it down.
    env: { PATH: process.env['PATH'], PORT: String(port), ...variables },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(line)?.[1]
    if (found === undefined) continue
    child.stdout.resume()
    return {
      process: child,
      port: Number(found),
      http: (path) => `http://127.0.0.1:${found}${path}`,
      ws: (path) => `ws://127.0.0.1:${found}${path}`,
      async stop () {
        child.kill('SIGTERM')
        return (await exited)[0]
      }
    }
  }
  throw new Error(`the example server ended with ${(await exited)[0]} before it listened`)
}
