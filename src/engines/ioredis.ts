import type {
  ConnectionEvents,
  ConnectionState,
  RedisConnection,
  RedisServer,
  RedisServers
} from './redis-server.ts'

/**
 * A client of `ioredis` 5 or 6, with or without sentinels, or a `Cluster`. Declares only the
 * methods that the engine recognizes it by.
 */
export interface IoredisClient {
  ssubscribe (...args: never[]): unknown
  duplicate (...args: never[]): object
}

/** The part of a client that the engine uses. */
interface Client {
  readonly status: string
  readonly options: { readonly host?: string, readonly port?: number }
  duplicate (override: typeof OVERRIDE): Client
  connect (): Promise<unknown>
  disconnect (): void
  on (event: string, listener: (...args: never[]) => void): unknown
  call (name: string, ...args: string[]): Promise<unknown>
  publish (channel: string, message: Buffer): Promise<unknown>
  spublish (channel: string, message: Buffer): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  unsubscribe (channel: string): Promise<unknown>
  ssubscribe (channel: string): Promise<unknown>
  sunsubscribe (channel: string): Promise<unknown>
}

interface Cluster {
  readonly isCluster: true
  /** The addresses of the servers of each slot, the master first. The index is the slot. */
  readonly slots: ReadonlyArray<readonly string[] | undefined>
  duplicate (startupNodes: readonly never[], override: typeof CLUSTER_OVERRIDE): Cluster
  connect (): Promise<unknown>
  disconnect (): void
  on (event: 'error', listener: () => void): unknown
  nodes (role: 'master'): readonly Client[]
}

const OVERRIDE = {
  lazyConnect: true,
  // A command that cannot be sent rejects; it is not kept for later.
  enableOfflineQueue: false,
  // Do not send unanswered commands again on the next connection: Redis may have executed them, and
  // publications would arrive twice.
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  // ioredis adds the prefix to the channels of sharded commands only.
  keyPrefix: ''
} as const

const CLUSTER_OVERRIDE = {
  lazyConnect: true,
  // The engine itself tries again. If the cluster retried, `connect` would not settle meanwhile.
  clusterRetryStrategy: () => null
} as const

/** Finds the servers behind a client of `ioredis`. Returns undefined for anything else. */
export function findIoredis (given: unknown, isSharded: boolean): RedisServers | undefined {
  const { ssubscribe, duplicate, isCluster } = (given ?? {}) as Partial<IoredisClient & Cluster>
  if (typeof ssubscribe !== 'function' || typeof duplicate !== 'function') return undefined
  if (isCluster === true) {
    return { kind: 'cluster', find: () => findMasters(given as Cluster, isSharded) }
  }
  // A client with sentinels asks them again for each connection.
  const server = serverOf(given as Client, isSharded, () => true)
  return { kind: 'one', find: async () => [server] }
}

async function findMasters (
  template: Cluster,
  isSharded: boolean
): Promise<readonly RedisServer[]> {
  const cluster = template.duplicate([], CLUSTER_OVERRIDE)
  let reason: unknown
  cluster.on('error', ((error: unknown) => { reason = error }) as () => void)
  try {
    await cluster.connect()
    const owners = Array.from(cluster.slots, (addresses) => addresses?.[0])
    return cluster.nodes('master').map((node) => {
      const address = `${node.options.host}:${node.options.port}`
      return serverOf(node, isSharded, (slot) => owners[slot] === address)
    })
  } catch (error) {
    throw reason ?? error
  } finally {
    cluster.disconnect()
  }
}

function serverOf (
  template: Client,
  isSharded: boolean,
  has: (slot: number) => boolean
): RedisServer {
  return {
    has,
    connect: (events) => new IoredisConnection(template.duplicate(OVERRIDE), isSharded, events)
  }
}

class IoredisConnection implements RedisConnection {
  readonly #client: Client
  readonly #isSharded: boolean
  #isClosed = false

  constructor (client: Client, isSharded: boolean, { change, receive, moved }: ConnectionEvents) {
    this.#client = client
    this.#isSharded = isSharded
    client.on(isSharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) =>
      receive(channel.toString(), payload)
    )
    for (const event of ['connect', 'ready', 'close', 'end', 'error']) client.on(event, change)
    client.on('moved', moved)
    // The client reconnects as its `retryStrategy` says. The events `error` and `end` report
    // failures.
    client.connect().catch(() => {})
  }

  get state (): ConnectionState {
    const { status } = this.#client
    if (this.#isClosed || (status !== 'ready' && status !== 'connect')) return 'away'
    return status === 'ready' ? 'ready' : 'connected'
  }

  publish (channel: string, payload: Buffer): Promise<unknown> {
    return this.#isSharded
      ? this.#client.spublish(channel, payload)
      : this.#client.publish(channel, payload)
  }

  subscribe (channel: string): Promise<unknown> {
    return this.#isSharded ? this.#client.ssubscribe(channel) : this.#client.subscribe(channel)
  }

  unsubscribe (channel: string): Promise<unknown> {
    return this.#isSharded ? this.#client.sunsubscribe(channel) : this.#client.unsubscribe(channel)
  }

  ask (name: string, ...args: string[]): Promise<unknown> {
    return this.#client.call(name, ...args)
  }

  close (): void {
    this.#isClosed = true
    this.#client.disconnect()
  }
}
