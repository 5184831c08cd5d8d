import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { findProgram } from './browser.ts'
import type { Teardown } from './server.ts'

const START_TIMEOUT_MS = 15_000

export interface Program {
  readonly name: string
  /** The arguments for a port of 127.0.0.1 and a separate folder. */
  readonly args: (port: number, folder: string) => readonly string[]
  /** Matches the line that says that the program listens. */
  readonly ready: RegExp
  /** Matches the line that says that the port is taken. */
  readonly taken: RegExp
}

export const REDIS: Program = {
  name: 'redis-server',
  args: (port, folder) => [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'no'
  ],
  ready: /Ready to accept connections/,
  taken: /Address already in use/
}

const NATS: Program = {
  name: 'nats-server',
  args: (port) => ['-a', '127.0.0.1', '-p', `${port}`],
  ready: /Server is ready/,
  taken: /address already in use/
}

/** A broker in a separate process, on a free port of 127.0.0.1, without persistence. */
export class Broker {
  readonly port: number
  readonly folder: string
  readonly #program: Program
  #child: ChildProcess | undefined

  constructor (program: Program, port: number, folder: string) {
    this.#program = program
    this.port = port
    this.folder = folder
  }

  /** Resolves when the broker listens. Rejects when it exits before. */
  async start (): Promise<void> {
    const path = findProgram(this.#program.name)
    if (path === undefined) throw new Error(`${this.#program.name} is not on the PATH`)
    const child = spawn(path, this.#program.args(this.port, this.folder), {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.folder
    })
    this.#child = child
    // A test with an uncaught exception ends without its teardown.
    const killAtExit = (): void => { child.kill('SIGKILL') }
    process.once('exit', killAtExit)
    child.once('exit', () => process.off('exit', killAtExit))
    await untilPrinted(child, this.#program)
  }

  /** Sends SIGTERM. Resolves when the process has exited. */
  async stop (): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Sends SIGKILL. Resolves when the process has exited. */
  async kill (): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Kills the broker and starts it again on its port. */
  async restart (): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Makes the broker read its configuration again. Resolves when it has printed `done`. */
  async reload (done: RegExp): Promise<void> {
    const child = this.#child
    if (child === undefined) throw new Error(`${this.#program.name} is not running`)
    const printed = untilPrinted(child, { name: this.#program.name, ready: done })
    child.kill('SIGHUP')
    await printed
  }

  signal (signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /**
   * Pauses the process. Resolves when all its threads are stopped, because it may answer for a
   * moment after the signal.
   */
  async freeze (): Promise<void> {
    const child = this.#child
    child?.kill('SIGSTOP')
    while (
      child?.pid !== undefined &&
      child.exitCode === null &&
      existsSync('/proc/self/stat') &&
      !isStopped(child.pid)
    ) {
      await nextTurn()
    }
  }

  thaw (): void {
    this.#child?.kill('SIGCONT')
  }

  async #end (signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    // A stopped process handles SIGTERM only after SIGCONT.
    child.kill('SIGCONT')
    await exited
  }
}

/** Starts a Redis server. It is killed when the test ends. */
export async function startRedis (t: Teardown): Promise<Broker> {
  return startBroker(t, REDIS)
}

/**
 * Starts a NATS server with more arguments. Calls `prepare` with its folder before. It is killed
 * when the test ends.
 */
export async function startNats (
  t: Teardown,
  args: readonly string[] = [],
  prepare?: (folder: string) => Promise<void>
): Promise<Broker> {
  return startBroker(t, { ...NATS, args: (...given) => [...NATS.args(...given), ...args] }, prepare)
}

/** Creates a Redis server on a free port, not started. */
export async function createRedis (t: Teardown): Promise<Broker> {
  return createBroker(t, REDIS)
}

/**
 * Starts a broker. It is killed when the test ends. `prepare`: the text of `sentinel.conf`, or a
 * function that is called with the broker's folder.
 */
export async function startBroker (
  t: Teardown,
  program: Program,
  prepare?: string | ((folder: string) => Promise<void>)
): Promise<Broker> {
  for (let attempt = 1; ; attempt++) {
    const broker = await createBroker(t, program)
    if (typeof prepare === 'string') await writeFile(join(broker.folder, 'sentinel.conf'), prepare)
    else await prepare?.(broker.folder)
    try {
      await broker.start()
      return broker
    } catch (error) {
      // Another process may have taken the port since it was found.
      if (attempt === 5 || !program.taken.test((error as Error).message)) throw error
    }
  }
}

async function createBroker (t: Teardown, program: Program): Promise<Broker> {
  const folder = await mkdtemp(join(tmpdir(), 'websock-broker-'))
  const broker = new Broker(program, await findFreePort(), folder)
  t.teardown(async () => {
    await broker.kill()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return broker
}

async function untilPrinted (
  child: ChildProcess,
  { name, ready }: Pick<Program, 'name' | 'ready'>
): Promise<void> {
  const printed: string[] = []
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => (): void => {
      clearTimeout(timer)
      reject(new Error(`${name} ${why}:\n${printed.join('\n')}`))
    }
    const timer = setTimeout(
      fail(`did not print ${ready} within ${START_TIMEOUT_MS} ms`),
      START_TIMEOUT_MS
    )
    child.once('error', reject)
    // Not `exit`, because its last output may arrive until `close`.
    child.once('close', fail('ended'))
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        if (printed.push(line) > 50) printed.shift()
        if (!ready.test(line)) return
        clearTimeout(timer)
        resolve()
      })
    }
  })
}

export async function findFreePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/**
 * Tells whether all threads of a process are stopped. In /proc the state follows the name in
 * parentheses (proc(5)).
 */
function isStopped (pid: number): boolean {
  const threads = `/proc/${pid}/task`
  return readdirSync(threads).every((thread) =>
    /\) T /.test(readFileSync(`${threads}/${thread}/stat`, 'latin1'))
  )
}
