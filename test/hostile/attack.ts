import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import type { Case, Endpoint } from './case.ts'
import { max, type Memory, type ServerKind, type ServerMessage } from './server.ts'
import { runSuite, type Result, type Target } from './suite.ts'
import type { Witness } from './bystander.ts'

export interface Report {
  readonly results: readonly Result[]
  readonly seconds: number
  /** `slowestMs` is without the cases of a known fault. */
  readonly bystander: Witness & { readonly slowestOfAllMs: number }
  /**
   * For a server that was started here: its largest growth in bytes, without the cases of a known
   * fault, and the sockets left at the end.
   */
  readonly server: Memory & { readonly sockets: number } | undefined
}

type OnResult = (result: Result, one: Case) => void

const HOST = '127.0.0.1'
/** closeTimeoutMs, and some more. */
const LAST_SOCKET_MS = 15_000

/** Runs the cases against a server of that kind, started for it. */
export async function attackChild (
  kind: ServerKind,
  cases: readonly Case[],
  onResult: OnResult
): Promise<Report> {
  const server = start('server.js', kind)
  const { routes } = await next<ServerMessage & { type: 'ready' }>(server)
  let grown: Memory = { rss: 0, external: 0, heapUsed: 0 }
  let healthy: Memory | undefined
  const ask = async (): Promise<ServerMessage & { type: 'report' }> => {
    server.send('report')
    return next(server)
  }
  const weigh = async (): Promise<number> => {
    const report = await ask()
    grown = max(grown, report.grown)
    return report.grown.rss / 1024 / 1024
  }
  const target = {
    locate: (endpoint: Endpoint) => ({
      host: HOST,
      ...routes[endpoint],
      deflate: endpoint === 'deflate'
    }),
    weigh
  }
  const report = await attack(target, cases, onResult, async () => {
    await weigh()
    healthy = grown
  })
  const sockets = await settle(ask)
  server.disconnect()
  return { ...report, server: { ...healthy ?? grown, sockets } }
}

/** Runs the cases against the server at a URL. */
export async function attackUrl (
  url: string,
  cases: readonly Case[],
  onResult: OnResult
): Promise<Report> {
  const { protocol, hostname, port, pathname, search } = new URL(url)
  if (protocol !== 'ws:') throw new Error(`a ws: URL is needed, not ${url}`)
  const locate: Target['locate'] = (endpoint) => ({
    host: hostname,
    port: Number(port === '' ? 80 : port),
    path: pathname + search,
    deflate: endpoint === 'deflate'
  })
  const report = await attack({ locate }, cases, onResult, async () => {})
  return { ...report, server: undefined }
}

async function attack (
  given: Omit<Target, 'slowestEchoMs'>,
  cases: readonly Case[],
  onResult: OnResult,
  onHealthy: () => Promise<void>
): Promise<Omit<Report, 'server'>> {
  const { host, port, path } = given.locate('echo')
  const bystander = start('bystander.js', `ws://${host}:${port}${path}`)
  await next(bystander)
  let slowestMs = 0
  let healthyMs = 0
  const ask = async (last: boolean): Promise<Witness> => {
    bystander.send(last)
    const witness = await next<Witness>(bystander)
    slowestMs = Math.max(slowestMs, witness.slowestMs)
    return witness
  }
  const target: Target = { ...given, slowestEchoMs: async () => (await ask(false)).slowestMs }
  const since = performance.now()
  const results = await runSuite(cases, target, onResult, async () => {
    await ask(false)
    healthyMs = slowestMs
    await onHealthy()
  })
  const seconds = (performance.now() - since) / 1000
  const { sent, echoed, closed } = await ask(true)
  bystander.disconnect()
  return {
    results,
    seconds,
    bystander: { sent, echoed, closed, slowestMs: healthyMs, slowestOfAllMs: slowestMs }
  }
}

/** Asks until the sockets of all cases are gone. */
async function settle (ask: () => Promise<{ readonly sockets: number }>): Promise<number> {
  const deadline = performance.now() + LAST_SOCKET_MS
  for (;;) {
    const { sockets } = await ask()
    if (sockets === 0 || performance.now() > deadline) return sockets
    await later(50)
  }
}

function start (file: string, argument: string): ChildProcess {
  // Without the variables of a test runner. By default V8 leaves three times 16 MiB of garbage
  // uncollected. With 2 MiB, and one arena of glibc, RSS shows the memory that peers make a server
  // keep.
  return fork(join(__dirname, file), [argument], {
    env: { PATH: process.env['PATH'], MALLOC_ARENA_MAX: '1' },
    execArgv: ['--expose-gc', '--max-semi-space-size=2']
  })
}

/** The next message of a child. Rejects when it ends before. */
async function next<T> (child: ChildProcess): Promise<T> {
  const gone = new AbortController()
  const fail = (code: number | null): void =>
    gone.abort(
      new Error(`${child.spawnfile} ${child.spawnargs.slice(1).join(' ')} ended with ${code}`)
    )
  if (child.exitCode !== null) fail(child.exitCode)
  child.once('exit', fail)
  try {
    const [message] = await once(child, 'message', { signal: gone.signal }) as [T]
    return message
  } catch (error) {
    throw gone.signal.aborted ? gone.signal.reason : error
  } finally {
    child.off('exit', fail)
  }
}
