import { createRequire } from 'node:module'
import { join } from 'node:path'
import { connect as connectNats } from '@nats-io/transport-node'
import { createClient } from 'redis'
import { startNats, startRedis } from './brokers.ts'
import { skipWithout } from './browser.ts'
import { startGossip, type GossipOptions, type GossipServer } from './gossip.ts'
import type { Teardown } from './server.ts'

const load = createRequire(__filename)
// The built engines, because the example uses the built package too.
const engines = join(__dirname, '../../dist/engines')
const BARRIER = 'test barrier'

type StartEngine = () => Promise<unknown>

/** Nodes in this process that form one network. */
export class GossipNetwork {
  readonly nodes: readonly GossipServer[]
  readonly #barriers = new Map<string, () => void>()
  #count = 0

  constructor (nodes: readonly GossipServer[]) {
    this.nodes = nodes
  }

  static async start (
    t: Teardown,
    engines: readonly StartEngine[],
    options: GossipOptions
  ): Promise<GossipNetwork> {
    const nodes: GossipServer[] = []
    for (const start of engines) {
      const engine = await start()
      const websock = engine === undefined ? {} : { engine }
      nodes.push(await startGossip(t, { ...options, websock }))
    }
    const network = new GossipNetwork(nodes)
    if (nodes.length === 1) return network
    for (const [node, { app }] of nodes.entries()) {
      app.websock.subscribe(BARRIER, {
        handleInfo: (number: number) => network.#barriers.get(`${node} ${number}`)?.()
      })
    }
    for (const { app } of nodes) await app.websock.subscriptionReady(BARRIER)
    return network
  }

  /** Advances the clocks of all nodes. */
  pass (ms: number): void {
    for (const node of this.nodes) node.pass(ms)
  }

  /**
   * Resolves when each node has received all earlier publications of the others. Works because
   * brokers keep the order.
   */
  async settle (): Promise<void> {
    if (this.nodes.length === 1) return
    await Promise.all(this.nodes.map((node, from) => this.#passBarrier(node, from)))
  }

  async #passBarrier ({ app }: GossipServer, from: number): Promise<void> {
    const number = this.#count++
    const others = [...this.nodes.keys()].filter((to) => to !== from)
    const arrived = others.map((to) => new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('a publication was lost')), 10_000)
      this.#barriers.set(`${to} ${number}`, () => { clearTimeout(timer); resolve() })
    }))
    app.websock.publish(BARRIER, number)
    await Promise.all(arrived)
    for (const to of others) this.#barriers.delete(`${to} ${number}`)
  }
}

export interface NetworkKind {
  readonly name: string
  readonly skip: string | false
  readonly open: (t: Teardown) => Promise<readonly StartEngine[]>
}

export const ONE_NODE: NetworkKind = {
  name: 'one node',
  skip: false,
  open: async () => [async () => undefined]
}

export const TWO_NODES: readonly NetworkKind[] = [
  {
    name: 'two nodes on Redis',
    skip: skipWithout('redis-server'),
    async open (t) {
      const { port } = await startRedis(t)
      const { redisEngine } = load(join(engines, 'redis-engine.js'))
      const start = async () => redisEngine(createClient({ url: `redis://127.0.0.1:${port}` }))
      return [start, start]
    }
  },
  {
    name: 'two nodes on NATS',
    skip: skipWithout('nats-server'),
    async open (t) {
      const { port } = await startNats(t)
      const { natsEngine } = load(join(engines, 'nats-engine.js'))
      const start = async () => {
        const connection = await connectNats({ servers: `127.0.0.1:${port}` })
        t.teardown(() => connection.close())
        return natsEngine(connection)
      }
      return [start, start]
    }
  }
]
