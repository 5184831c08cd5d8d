import { WebSocket } from 'ws'
import { until } from './cluster.ts'
import { createPath, type FaultyBroker, type FaultyPath } from './faulty-brokers.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'
import type { Teardown } from './server.ts'

export const TOPICS = 10
/** The time around a fault in which the order of a publication and the fault is unknown. */
export const MARGIN_MS = 300
/** The library promises to notice a silent broker within this time. */
const NOTICED_MS = 10_000

/** A received publication. */
export interface Publication {
  /** The process id of the node. */
  readonly from: number
  readonly n: number
  readonly at: number
}

/** One connection of a client: its publications, and the time of its existence. */
export class Session {
  readonly topic: number
  readonly socket: WebSocket
  readonly name: string
  readonly node: ServerProcess
  readonly received: Publication[] = []
  /** The periods of the gaps that were reported to it. */
  readonly gaps: Window[] = []
  isReady = false
  /** From this time on it must get all publications. */
  readyAt = Infinity
  closedAt = Infinity

  constructor (node: ServerProcess, topic: number, name: string) {
    this.node = node
    this.topic = topic
    this.name = name
    this.socket = new WebSocket(`ws://127.0.0.1:${node.port}/${topic}?name=${name}`, {
      perMessageDeflate: false
    })
    this.socket.on('error', () => {}).on('close', () => { this.closedAt = Date.now() })
    this.socket.on('message', (data: Buffer) => {
      const text = data.toString()
      if (text === 'ready') this.isReady = true
      else if (text.startsWith('gap ')) {
        this.gaps.push({ from: Number(text.slice('gap '.length)), to: Date.now() })
      } else this.received.push(JSON.parse(text) as Publication)
    })
  }

  get open (): boolean { return this.isReady && this.closedAt === Infinity }
}

/** A period of time. */
export interface Window {
  readonly from: number
  readonly to: number
}

/** The end of a node: its time, and the number of publications that the node counted as lost. */
export interface NodeEnd {
  readonly pid: number
  readonly at: number
  readonly lost: number
}

/**
 * Node processes with clients and a broker. Tests kill, pause and cut off nodes, and disturb the
 * broker.
 */
export class FaultyCluster {
  readonly sessions: Session[] = []
  /** The times without a fault. */
  readonly windows: Window[] = []
  readonly nodes: ServerProcess[] = []
  readonly ends: NodeEnd[] = []
  readonly #t: Teardown
  readonly #broker: FaultyBroker
  readonly #paths: FaultyPath[] = []
  readonly #clients: number
  #openedAt = 0

  constructor (t: Teardown, broker: FaultyBroker, clients: number) {
    this.#t = t
    this.#broker = broker
    this.#clients = clients
    t.teardown(() => { for (const { socket } of this.sessions) socket.terminate() })
  }

  async start (count: number): Promise<void> {
    while (this.#paths.length < count) this.#paths.push(await createPath(this.#t, this.#broker))
    for (const index of this.#paths.keys()) this.nodes.push(await this.#startNode(index))
    await this.settle()
  }

  /**
   * Connects the clients again that have lost their node, and waits for all subscriptions. Then the
   * next window begins.
   */
  async settle (): Promise<void> {
    const here = new Set(
      this.sessions.filter(({ closedAt }) => closedAt === Infinity).map(({ name }) => name)
    )
    for (let n = 0; n < this.#clients; n++) {
      const node = this.nodes[n % this.nodes.length] as ServerProcess
      if (!here.has(`c${n}`)) {
        this.sessions.push(new Session(node, Math.floor(n / this.nodes.length) % TOPICS, `c${n}`))
      }
    }
    await until(() => this.#open.length === this.#clients, 'all clients are connected')
    await untilAnswered(
      async () => (await this.#askAll<boolean>('is ready')).every(Boolean),
      'all nodes are ready'
    )
    this.#openedAt = Date.now() + MARGIN_MS
    for (const session of this.#open) session.readyAt = Math.min(session.readyAt, this.#openedAt)
  }

  /** Waits for `ms`. */
  async run (ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  /** Ends the window, kills a node with SIGKILL, and starts another in its place. */
  async killNode (index: number): Promise<void> {
    this.#closeWindow()
    const node = this.nodes[index] as ServerProcess
    await this.#noteEnd(node)
    node.child.kill('SIGKILL')
    await node.exited
    this.nodes[index] = await this.#startNode(index)
    await this.settle()
  }

  /** Ends the window, and pauses a node for `ms`. */
  async pauseNode (index: number, ms: number): Promise<void> {
    this.#closeWindow()
    const { child } = this.nodes[index] as ServerProcess
    child.kill('SIGSTOP')
    await this.run(ms)
    child.kill('SIGCONT')
    await this.settle()
  }

  /**
   * Ends the window, and drops all bytes between a node and the broker for `ms`, at least until the
   * node has noticed. Rejects when the node does not notice in time, or when presence is wrong
   * meanwhile. Resolves with the time until the node noticed.
   */
  async cutOff (index: number, ms: number): Promise<number> {
    this.#closeWindow()
    const [node, path] = [this.nodes[index] as ServerProcess, this.#paths[index] as FaultyPath]
    const before = this.#countGaps(({ node: its }) => its === node)
    const from = Date.now()
    path.blackHole()
    await untilAnswered(
      async () => !(await node.ask<boolean>('is ready')),
      'the node that is cut off is not ready'
    )
    const noticedMs = Date.now() - from
    if (noticedMs > NOTICED_MS) throw new Error(`noticed after ${noticedMs} ms`)
    const isOn = (session: Session): boolean => session.node === node
    for (const each of this.nodes) {
      await this.#untilPresent(
        each,
        this.#open.filter((session) => isOn(session) === (each === node))
      )
    }
    await this.run(Math.max(0, from + ms - Date.now()))
    path.heal()
    await this.#untilNotified(before)
    await this.settle()
    return noticedMs
  }

  /**
   * Ends the window, and calls `happen` with the broker. `losesAll`: waits until each client has
   * been notified of a gap.
   */
  async withBroker (
    happen: (broker: FaultyBroker) => Promise<void>,
    losesAll: boolean
  ): Promise<void> {
    this.#closeWindow()
    const before = this.#countGaps(() => true)
    await happen(this.#broker)
    if (losesAll) await this.#untilNotified(before)
    await this.settle()
  }

  /**
   * Waits until each node's presence has exactly the open sessions. Resolves with the time that it
   * took.
   */
  async presenceIsRight (): Promise<number> {
    const from = Date.now()
    for (const node of this.nodes) await this.#untilPresent(node, this.#open)
    return Date.now() - from
  }

  async stop (): Promise<void> {
    this.#closeWindow()
    await Promise.all(this.nodes.map(async (node) => {
      await this.#noteEnd(node)
      await node.ask('stop')
      await node.exited
    }))
    await until(() => this.#open.length === 0, 'all clients are closed')
  }

  get #open (): Session[] { return this.sessions.filter(({ open }) => open) }

  #askAll<T> (question: string): Promise<T[]> {
    return Promise.all(this.nodes.map((node) => node.ask<T>(question)))
  }

  async #untilPresent (node: ServerProcess, sessions: readonly Session[]): Promise<void> {
    const expected = sessions.map(({ name }) => name).sort().join()
    await untilAnswered(
      async () => (await node.ask<string[]>('presence')).join() === expected,
      'presence is right'
    )
  }

  #countGaps (isSelected: (session: Session) => boolean): Map<Session, number> {
    return new Map(this.#open.filter(isSelected).map((session) => [session, session.gaps.length]))
  }

  async #untilNotified (before: ReadonlyMap<Session, number>): Promise<void> {
    await until(
      () => [...before].every(([{ gaps }, count]) => gaps.length > count),
      'each client has got a gap'
    )
  }

  async #noteEnd (node: ServerProcess): Promise<void> {
    const lost = await node.ask<number>('lost')
    this.ends.push({ pid: node.child.pid ?? 0, at: Date.now(), lost })
  }

  #closeWindow (): void {
    this.windows.push({ from: this.#openedAt, to: Date.now() - MARGIN_MS })
  }

  async #startNode (index: number): Promise<ServerProcess> {
    return startServerProcess(this.#t, 'cluster-node.js', [], this.#paths[index]?.env)
  }
}

/** Asks until the answer is true. Rejects after 20 s. */
async function untilAnswered (ask: () => Promise<boolean>, words: string): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!await ask()) if (Date.now() > deadline) throw new Error(`still not: ${words}`)
}
