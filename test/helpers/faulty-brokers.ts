import { startNats, startRedis } from './brokers.ts'
import { startProxy, type Proxy } from './proxy.ts'
import { startRedisCluster } from './redis-cluster.ts'
import type { Teardown } from './server.ts'

/** A broker that tests restart and pause. */
export interface FaultyBroker {
  readonly name: string
  readonly ports: readonly number[]
  /**
   * Kills the broker, or one of its masters, and starts it again. Resolves when all parts run
   * again.
   */
  restart (): Promise<void>
  /** Pauses the broker, or one of its masters, for `ms`. Resolves when all parts run again. */
  pause (ms: number): Promise<void>
}

type Wait = (ms: number) => Promise<void>

/**
 * The program and the start function of each broker. The keys are the values of `BROKER` in the
 * nodes.
 */
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

async function startSingle (
  t: Teardown,
  name: 'redis' | 'nats',
  wait: Wait
): Promise<FaultyBroker> {
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

  /** Drops all bytes without closing a connection. */
  blackHole (): void {
    for (const proxy of this.#proxies) {
      proxy.isClosed = true
      proxy.blackHole()
    }
  }

  /** Lets new connections pass, and cuts the old ones. */
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
