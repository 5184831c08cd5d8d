import { startNats, startRedis } from './brokers.ts'
import { startProxy, type Proxy } from './proxy.ts'
import { startRedisCluster } from './redis-cluster.ts'
import type { Teardown } from './server.ts'

/** A broker that does not do what it should. */
export interface FaultyBroker {
  readonly name: string
  readonly ports: readonly number[]
  /** Kills it, or one of its masters, and starts that again. Resolves when all is well. */
  restart (): Promise<void>
  /** Lets it, or one of its masters, stand still for so long. Resolves when all is well. */
  pause (ms: number): Promise<void>
}

type Wait = (ms: number) => Promise<void>

/** By the name that the nodes know them by: the program that they need, and what starts one. */
export const FAULTY_BROKERS: Readonly<
  Record<
    string,
    readonly [program: string, start: (t: Teardown, wait: Wait) => Promise<FaultyBroker>]
  >
> = {
  redis: ['redis-server', (t, wait) => startSingle(t, 'redis', wait)],
  'redis cluster': ['redis-server', (t, wait) => startCluster(t, 'redis cluster', wait)],
  'redis cluster, sharded': [
    'redis-server',
    (t, wait) => startCluster(t, 'redis cluster, sharded', wait)
  ],
  nats: ['nats-server', (t, wait) => startSingle(t, 'nats', wait)]
}

async function startSingle (t: Teardown, name: 'redis' | 'nats', wait: Wait): Promise<FaultyBroker> {
  const broker = await (name === 'redis' ? startRedis(t) : startNats(t))
  return {
    name,
    ports: [broker.port],
    restart: () => broker.restart(),
    async pause (ms) {
      await broker.freeze()
      await wait(ms)
      broker.thaw()
    }
  }
}

async function startCluster (t: Teardown, name: string, wait: Wait): Promise<FaultyBroker> {
  const cluster = await startRedisCluster(t)
  return {
    name,
    ports: cluster.ports,
    async restart () {
      const dead = await cluster.failOver()
      await dead.start()
      await cluster.untilUp()
    },
    async pause (ms) {
      const [master] = await cluster.masters()
      await master?.freeze()
      await wait(ms)
      master?.thaw()
      await cluster.untilUp()
    }
  }
}

/** The network between one node and the broker. */
export class FaultyPath {
  readonly env: Readonly<Record<string, string>>
  readonly #proxies: readonly Proxy[]

  constructor ({ name, ports }: FaultyBroker, proxies: readonly Proxy[]) {
    this.#proxies = proxies
    const addresses = ports.map((port, i) => [
      `127.0.0.1:${port}`,
      { host: '127.0.0.1', port: proxies[i]?.port }
    ])
    this.env = {
      BROKER: name,
      BROKER_PORTS: JSON.stringify(proxies.map(({ port }) => port)),
      BROKER_ADDRESSES: JSON.stringify(Object.fromEntries(addresses))
    }
  }

  /** Nothing passes, and nobody is told. */
  blackHole (): void {
    for (const proxy of this.#proxies) {
      proxy.isClosed = true
      proxy.blackHole()
    }
  }

  /** New connections pass; the old ones are known nowhere any more. */
  heal (): void {
    for (const proxy of this.#proxies) {
      proxy.isClosed = false
      proxy.cut()
    }
  }
}

export async function createPath (t: Teardown, broker: FaultyBroker): Promise<FaultyPath> {
  return new FaultyPath(broker, await Promise.all(broker.ports.map((port) => startProxy(t, port))))
}
