import { fork, type ChildProcess } from 'node:child_process'
import { resolve } from 'node:path'
import type { Teardown } from './server.ts'

interface ProcessMessage {
  type: string
  value: unknown
}

/**
 * A server in a separate process, with the built package. It is a CommonJS file that sends `{ type:
 * 'ready', value: port }` when it listens, and that answers a question with a message of that type.
 */
export class ServerProcess {
  readonly child: ChildProcess
  /** Resolves with the exit code, or null when the process was killed. */
  readonly exited: Promise<number | null>
  port = 0

  constructor (child: ChildProcess) {
    this.child = child
    this.exited = new Promise((resolve) => child.once('exit', resolve))
  }

  /**
   * The next message of this type. Rejects when the process exits before, and after `timeoutMs`.
   */
  async next<T> (type: string, timeoutMs = 20_000): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (why: string) => () => {
        stop()
        reject(new Error(`${why} while waiting for "${type}"`))
      }
      const take = (message: ProcessMessage): void => {
        if (message.type !== type) return
        stop()
        resolve(message.value as T)
      }
      const exit = fail('the server process exited')
      const timer = setTimeout(fail(`${timeoutMs} ms passed`), timeoutMs)
      const stop = (): void => {
        clearTimeout(timer)
        this.child.off('message', take).off('exit', exit)
      }
      this.child.on('message', take).on('exit', exit)
    })
  }

  async ask<T> (question: string, timeoutMs?: number): Promise<T> {
    const answer = this.next<T>(question, timeoutMs)
    this.child.send(question)
    return answer
  }
}

/** Starts a file of test/fixtures and waits until it listens. It is killed when the test ends. */
export async function startServerProcess (
  t: Teardown,
  fixture: string,
  execArgv: string[] = [],
  env: Readonly<Record<string, string>> = {}
): Promise<ServerProcess> {
  // Without the flags and variables of this process: it needs no TypeScript loader, which would add
  // to its heap.
  const child = fork(resolve(__dirname, '../fixtures', fixture), {
    execArgv,
    env: { PATH: process.env['PATH'], ...env }
  })
  t.teardown(() => child.kill('SIGKILL'))
  const server = new ServerProcess(child)
  server.port = await server.next<number>('ready')
  return server
}
