import { startBroker, findFreePort, REDIS, type Broker } from './brokers.ts'
import { connectAdmin, type RedisAdmin } from './redis-clients.ts'
import type { Teardown } from './server.ts'

const MASTERS = 3
const SLOTS = 16_384
const NODE_TIMEOUT_MS = 1_000

/** A Redis Cluster of three masters with a replica each, on 127.0.0.1. */
export class RedisCluster {
  readonly nodes: readonly Broker[]
  readonly #admins: readonly RedisAdmin[]

  constructor (nodes: readonly Broker[], admins: readonly RedisAdmin[]) {
    this.nodes = nodes
    this.#admins = admins
  }

  get ports (): number[] { return this.nodes.map(({ port }) => port) }

  /** Sends a command to all nodes. */
  async ask (...command: string[]): Promise<void> {
    await Promise.all(this.#admins.map((admin) => admin.ask(...command)))
  }

  /**
   * Resolves when each node reports that the cluster is up, knows all masters, and each replica is
   * connected to its master.
   */
  async untilUp (): Promise<void> {
    for (const admin of this.#admins) {
      await admin.until(
        () => admin.ask<string>('CLUSTER', 'INFO').catch(String),
        (info) => /cluster_state:ok/.test(info),
        30_000
      )
      await admin.until(
        () => admin.ask<string>('CLUSTER', 'NODES').catch(String),
        (nodes) =>
          !/fail|handshake|noaddr/.test(nodes) &&
          (nodes.match(/master - /g) ?? []).length === MASTERS,
        30_000
      )
      await admin.until(
        () => admin.ask<string>('INFO', 'replication').catch(String),
        (info) => /role:master|master_link_status:up/.test(info),
        30_000
      )
    }
  }

  async restart (): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await Promise.all(this.nodes.map((node) => node.start()))
    await this.untilUp()
  }

  async freeze (): Promise<void> { await Promise.all(this.nodes.map((node) => node.freeze())) }

  async thaw (): Promise<void> {
    for (const node of this.nodes) node.thaw()
    await this.untilUp()
  }

  /** The nodes that are masters now. */
  async masters (): Promise<Broker[]> {
    const roles = await Promise.all(
      this.#admins.map((admin) => admin.ask<string[]>('ROLE').catch(() => []))
    )
    return this.nodes.filter((_node, i) => roles[i]?.[0] === 'master')
  }

  /** Kills a master. Resolves when its replica has taken its place. */
  async failOver (): Promise<Broker> {
    const [master] = await this.masters()
    if (master === undefined) throw new Error('no master')
    await master.kill()
    const [admin] = this.#admins.filter((_admin, i) => this.nodes[i] !== master)
    await admin?.until(
      async () => (await this.masters()).length,
      (count) => count === MASTERS,
      30_000
    )
    for (const [i, other] of this.#admins.entries()) {
      if (this.nodes[i] !== master) {
        await other.until(
          () => other.ask<string>('CLUSTER', 'INFO').catch(String),
          (info) => /cluster_state:ok/.test(info),
          30_000
        )
      }
    }
    return master
  }
}

export async function startRedisCluster (t: Teardown): Promise<RedisCluster> {
  const nodes = await Promise.all(Array.from({ length: 2 * MASTERS }, () => startClusterNode(t)))
  const admins = await Promise.all(nodes.map(({ port }) => connectAdmin(t, port)))
  const cluster = new RedisCluster(nodes, admins)
  for (const [i, admin] of admins.slice(0, MASTERS).entries()) {
    await admin.ask('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`)
    await admin.ask(
      'CLUSTER',
      'ADDSLOTSRANGE',
      `${Math.floor((i * SLOTS) / MASTERS)}`,
      `${Math.floor(((i + 1) * SLOTS) / MASTERS) - 1}`
    )
  }
  for (const { port, busPort } of nodes.slice(1)) {
    await admins[0]?.ask('CLUSTER', 'MEET', '127.0.0.1', `${port}`, `${busPort}`)
  }
  for (const admin of admins) {
    await admin.until(
      () => admin.ask<string>('CLUSTER', 'INFO'),
      (info) => info.includes(`cluster_known_nodes:${nodes.length}`),
      30_000
    )
  }
  for (const [i, admin] of admins.slice(MASTERS).entries()) {
    const id = await admins[i]?.ask<string>('CLUSTER', 'MYID') ?? ''
    await admin.until(
      () => admin.ask<string>('CLUSTER', 'NODES'),
      (list) => list.includes(id) && !/handshake/.test(list),
      30_000
    )
    await admin.ask('CLUSTER', 'REPLICATE', id)
  }
  await cluster.untilUp()
  return cluster
}

async function startClusterNode (t: Teardown): Promise<Broker & { busPort: number }> {
  const busPort = await findFreePort()
  const broker = await startBroker(t, {
    ...REDIS,
    args: (port, folder) => [
      ...REDIS.args(port, folder),
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      `${busPort}`,
      '--cluster-node-timeout',
      `${NODE_TIMEOUT_MS}`,
      '--cluster-replica-validity-factor',
      '0',
      '--repl-diskless-sync-delay',
      '0',
      '--cluster-allow-replica-migration',
      'no'
    ]
  })
  return Object.assign(broker, { busPort })
}

/** A master with a replica, and one sentinel that watches them as `main`. */
export class RedisSentinels {
  readonly master: Broker
  readonly replica: Broker
  readonly sentinel: Broker
  readonly #admin: RedisAdmin

  constructor (master: Broker, replica: Broker, sentinel: Broker, admin: RedisAdmin) {
    this.master = master
    this.replica = replica
    this.sentinel = sentinel
    this.#admin = admin
  }

  /** The port of the current master. */
  async masterPort (): Promise<number> {
    return Number(
      (await this.#admin.ask<string[]>('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main'))[1]
    )
  }

  /** Sends a command to the master and the replica. */
  async ask (t: Teardown, ...command: string[]): Promise<void> {
    for (const { port } of [this.master, this.replica]) {
      await (await connectAdmin(t, port)).ask(...command)
    }
  }

  /** Restarts the master while the sentinel is frozen, so that it stays the master. */
  async restart (): Promise<void> {
    await this.sentinel.freeze()
    await this.master.restart()
    this.sentinel.thaw()
    await this.#admin.until(() => this.masterPort(), (port) => port === this.master.port)
  }

  async freeze (): Promise<void> {
    await Promise.all([this.sentinel, this.replica, this.master].map((broker) => broker.freeze()))
  }

  thaw (): void { for (const broker of [this.master, this.replica, this.sentinel]) broker.thaw() }

  async untilReplicaIsKnown (): Promise<void> {
    await this.#admin.until(
      () => this.#admin.ask<unknown[]>('SENTINEL', 'REPLICAS', 'main'),
      (replicas) => replicas.length === 1 && !/s_down|disconnected/.test(JSON.stringify(replicas)),
      30_000
    )
  }

  /** Kills the master. Resolves when the replica has taken its place. */
  async failOver (): Promise<void> {
    await this.master.kill()
    await this.#admin.until(() => this.masterPort(), (port) => port === this.replica.port, 30_000)
  }
}

export async function startSentinels (t: Teardown): Promise<RedisSentinels> {
  const master = await startBroker(t, REDIS)
  const replica = await startBroker(t, {
    ...REDIS,
    args: (port, folder) => [...REDIS.args(port, folder), '--replicaof', `127.0.0.1 ${master.port}`]
  })
  const sentinel = await startBroker(
    t,
    {
      ...REDIS,
      args: (port) => ['sentinel.conf', '--sentinel', '--port', `${port}`, '--bind', '127.0.0.1'],
      ready: /monitor master/
    },
    [
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds main 1000',
      'sentinel failover-timeout main 5000',
      'sentinel resolve-hostnames no'
    ].join('\n')
  )
  const sentinels = new RedisSentinels(
    master,
    replica,
    sentinel,
    await connectAdmin(t, sentinel.port)
  )
  await sentinels.untilReplicaIsKnown()
  return sentinels
}
