import { WebSocket } from 'ws'
import { until } from './cluster.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'
import type { Teardown } from './server.ts'

export const TOPICS = 10

/** What a node published, as it came. */
interface Publication {
  readonly from: number
  readonly n: number
  readonly at: number
}

/** One connection of one client: what reached it, and when it was there. */
class Session {
  readonly topic: number
  readonly socket: WebSocket
  readonly name: string
  readonly received: Publication[] = []
  gaps = 0
  readyAt = Infinity
  closedAt = Infinity

  constructor (url: string, topic: number, name: string) {
    this.topic = topic
    this.name = name
    this.socket = new WebSocket(`${url}/${topic}?name=${name}`, { perMessageDeflate: false })
    this.socket.on('error', () => {}).on('close', () => { this.closedAt = Date.now() })
    this.socket.on('message', (data: Buffer) => {
      const text = data.toString()
      if (text === 'ready') this.readyAt = Date.now()
      else if (text === 'gap') this.gaps++
      else this.received.push(JSON.parse(text) as Publication)
    })
  }

  get open (): boolean { return this.readyAt < Infinity && this.closedAt === Infinity }
}

/** From when to when nothing was wrong anywhere. */
interface Window {
  readonly from: number
  readonly to: number
}

/** Near a fault nobody can tell whether a publication was before it. */
const MARGIN_MS = 300

/** Processes at one broker, with clients, that are killed, stopped and left without their broker. */
export class FaultyCluster {
  readonly sessions: Session[] = []
  readonly windows: Window[] = []
  readonly nodes: ServerProcess[] = []
  readonly #t: Teardown
  readonly #env: Readonly<Record<string, string>>
  readonly #clients: number
  #openedAt = 0

  constructor (t: Teardown, broker: { name: string, port: number }, clients: number) {
    this.#t = t
    this.#env = { BROKER: broker.name, BROKER_PORT: `${broker.port}` }
    this.#clients = clients
    t.teardown(() => { for (const { socket } of this.sessions) socket.terminate() })
  }

  async start (count: number): Promise<void> {
    while (this.nodes.length < count) this.nodes.push(await this.#startNode())
    await this.settle()
  }

  /** Clients connect again that have lost their node, all is subscribed: the next window begins. */
  async settle (): Promise<void> {
    const here = new Set(this.sessions.filter(({ closedAt }) => closedAt === Infinity).map(({ name }) => name))
    for (let n = 0; n < this.#clients; n++) {
      const { port } = this.nodes[n % this.nodes.length] as ServerProcess
      if (!here.has(`c${n}`)) this.sessions.push(new Session(`ws://127.0.0.1:${port}`, Math.floor(n / this.nodes.length) % TOPICS, `c${n}`))
    }
    await until(() => this.#open.length === this.#clients, 'all clients are connected')
    while (!(await Promise.all(this.nodes.map((node) => node.ask<boolean>('is ready')))).every(Boolean));
    this.#openedAt = Date.now() + MARGIN_MS
  }

  /** Lets the cluster work for so long. */
  async run (ms: number): Promise<void> {
    const end = Date.now() + ms
    await until(() => Date.now() >= end, 'time passes')
  }

  /** Ends the window, kills a node without a word, and starts another in its place. */
  async kill (index: number): Promise<void> {
    this.#closeWindow()
    const node = this.nodes[index] as ServerProcess
    node.child.kill('SIGKILL')
    await node.exited
    this.nodes[index] = await this.#startNode()
    await this.settle()
  }

  /** Ends the window, and lets a node stand still for so long. */
  async pause (index: number, ms: number): Promise<void> {
    this.#closeWindow()
    const { child } = this.nodes[index] as ServerProcess
    child.kill('SIGSTOP')
    await this.run(ms)
    child.kill('SIGCONT')
    await this.settle()
  }

  /** Ends the window, and does something to the broker. Resolves when each client has been told that there was a gap. */
  async without (restart: () => Promise<void>): Promise<void> {
    this.#closeWindow()
    const before = new Map(this.#open.map((session) => [session, session.gaps]))
    await restart()
    await until(() => [...before].every(([session, gaps]) => session.gaps > gaps), 'each client is told of the gap')
    await this.settle()
  }

  /** Resolves with how long it took until each node saw who is there, and nobody else. */
  async presenceIsRight (): Promise<number> {
    const from = Date.now()
    const expected = this.#open.map(({ name }) => name).sort().join()
    while (!(await Promise.all(this.nodes.map((node) => node.ask<string[]>('presence')))).every((keys) => keys.join() === expected)) {
      if (Date.now() - from > 15_000) throw new Error('presence is still not right')
    }
    return Date.now() - from
  }

  async stop (): Promise<void> {
    this.#closeWindow()
    await Promise.all(this.nodes.map(async (node) => {
      await node.ask('stop')
      await node.exited
    }))
    await until(() => this.#open.length === 0, 'all clients are told')
  }

  get #open (): Session[] { return this.sessions.filter(({ open }) => open) }

  #closeWindow (): void {
    this.windows.push({ from: this.#openedAt, to: Date.now() - MARGIN_MS })
  }

  async #startNode (): Promise<ServerProcess> {
    return startServerProcess(this.#t, 'cluster-node.js', [], this.#env)
  }
}

export interface Verdict {
  /** Publications of the time when all was well, times those who were to receive them. */
  expected: number
  missing: number
  twice: number
  outOfOrder: number
  received: number
}

/** Holds what each session received against what it should have. */
export function judge ({ sessions, windows }: Pick<FaultyCluster, 'sessions' | 'windows'>): Verdict {
  const verdict: Verdict = { expected: 0, missing: 0, twice: 0, outOfOrder: 0, received: 0 }
  for (let topic = 0; topic < TOPICS; topic++) {
    const readers = sessions.filter((session) => session.topic === topic)
    const published = readPublished(readers)
    for (const session of readers) {
      const last = new Map<number, number>()
      const seen = new Set<string>()
      for (const { from, n } of session.received) {
        if (seen.has(`${from} ${n}`)) verdict.twice++
        else if (n < (last.get(from) ?? 0)) verdict.outOfOrder++
        seen.add(`${from} ${n}`)
        last.set(from, n)
      }
      verdict.received += session.received.length
      for (const { from, n, at } of published) {
        const window = windows.find(({ from, to }) => at >= from && at <= to)
        if (window === undefined || session.readyAt > window.from || session.closedAt < window.to) continue
        verdict.expected++
        if (!seen.has(`${from} ${n}`)) verdict.missing++
      }
    }
  }
  return verdict
}

/** All publications on a topic that somebody received, and those between two of them that nobody did. */
function readPublished (readers: readonly Session[]): Publication[] {
  const byNode = new Map<number, Map<number, Publication>>()
  for (const publication of readers.flatMap(({ received }) => received)) {
    const known = byNode.get(publication.from) ?? new Map<number, Publication>()
    byNode.set(publication.from, known.set(publication.n, publication))
  }
  return [...byNode].flatMap(([from, known]) => {
    const numbers = [...known.keys()]
    const all: Publication[] = []
    let at = 0
    for (let n = Math.min(...numbers); n <= Math.max(...numbers); n++) {
      // One that nobody received was published after the one before it.
      at = known.get(n)?.at ?? at
      all.push({ from, n, at })
    }
    return all
  })
}
