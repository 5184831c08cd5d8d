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
  /** For a port of 127.0.0.1 and a folder of its own. */
  readonly args: (port: number, folder: string) => readonly string[]
  /** In what it prints: it listens; somebody else has the port. */
  readonly ready: RegExp
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

/** A broker in a process of its own, on a free port of 127.0.0.1, with nothing kept. */
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

  /** Resolves when it listens. Rejects when it ends before. */
  async start (): Promise<void> {
    const path = findProgram(this.#program.name)
    if (path === undefined) throw new Error(`${this.#program.name} is not on the PATH`)
    const child = spawn(path, this.#program.args(this.port, this.folder), {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: this.folder
    })
    this.#child = child
    // A test that throws where nobody catches is over without its teardown.
    const killAtExit = (): void => { child.kill('SIGKILL') }
    process.once('exit', killAtExit)
    child.once('exit', () => process.off('exit', killAtExit))
    await untilPrinted(child, this.#program)
  }

  /** SIGTERM. Resolves when it is gone. */
  async stop (): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill (): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Killed, and started again on its port. */
  async restart (): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Reads its configuration once more. Resolves when it has printed that. */
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

  /** Resolves when it stands still: it may answer for a moment after the signal. */
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
    // One that stands still takes no other signal.
    child.kill('SIGCONT')
    await exited
  }
}

/** Started for one test, killed when that ends. */
export async function startRedis (t: Teardown): Promise<Broker> {
  return startBroker(t, REDIS)
}

/** With more arguments, and what is done in its folder before it starts. */
export async function startNats (
  t: Teardown,
  args: readonly string[] = [],
  prepare?: (folder: string) => Promise<void>
): Promise<Broker> {
  return startBroker(t, { ...NATS, args: (...given) => [...NATS.args(...given), ...args] }, prepare)
}

/** On a free port, but not started. */
export async function createRedis (t: Teardown): Promise<Broker> {
  return createBroker(t, REDIS)
}

/**
 * Started for one test, killed when that ends. A string is what stands in `sentinel.conf` of its
 * folder.
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
      // Between our look at the port and its own somebody may have taken it.
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
    // Not `exit`: what it printed before it ended comes until `close`.
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

/** The state of each of its threads in /proc, behind the name in parentheses (proc(5)). */
function isStopped (pid: number): boolean {
  const threads = `/proc/${pid}/task`
  return readdirSync(threads).every((thread) =>
    /\) T /.test(readFileSync(`${threads}/${thread}/stat`, 'latin1'))
  )
}
