import type {
  ConnectionEvents,
  ConnectionState,
  RedisConnection,
  RedisServer,
  RedisServers
} from './redis-server.ts'

/**
 * A client, a cluster, or a sentinel of `redis` 5 or 6. Declares only the methods that the engine
 * recognizes it by.
 */
export interface NodeRedisClient {
  sSubscribe (...args: never[]): unknown
  duplicate (...args: never[]): object
}

/** The part of a client that the engine uses. */
interface Client {
  readonly isOpen: boolean
  readonly isReady: boolean
  readonly options?: { readonly socket?: object }
  duplicate (overrides: typeof OVERRIDES & { readonly socket: object }): Client
  connect (): Promise<unknown>
  destroy (): void
  on (event: string, listener: (error?: unknown) => void): unknown
  getPubSubListeners (type: 'CHANNELS' | 'SHARDED'): { clear (): void }
  sendCommand (args: ReadonlyArray<string | Buffer>): Promise<unknown>
  subscribe (channel: string, listener: Receive, bufferMode: true): Promise<unknown>
  unsubscribe (channel: string, listener: Receive, bufferMode: true): Promise<unknown>
  sSubscribe (channel: string, listener: Receive, bufferMode: true): Promise<unknown>
  sUnsubscribe (channel: string, listener: Receive, bufferMode: true): Promise<unknown>
}

interface Cluster extends Finder {
  readonly masters: ReadonlyArray<{ readonly address: string }>
  readonly slots: ReadonlyArray<{ readonly master: { readonly address: string } } | undefined>
  duplicate(overrides: {
    readonly minimizeConnections: false
    readonly clientSideCache: undefined
  }): Cluster
  nodeClient (node: { readonly address: string }): Promise<Client>
}

interface Sentinel extends Finder {
  duplicate(overrides: {
    readonly clientSideCache: undefined
    readonly reserveClient: false
  }): Sentinel
  /** Runs a task with the client of the current master. No documented method gives that client. */
  _execute<T>(isReadonly: false, task: (client: Client) => Promise<T>): Promise<T>
}

interface Finder {
  connect (): Promise<unknown>
  destroy (): unknown
  on (event: 'error', listener: () => void): unknown
}

type Receive = (message: Buffer, channel: Buffer) => void

const OVERRIDES = {
  // A command that cannot be sent rejects; it is not kept for later.
  disableOfflineQueue: true,
  // The duplicate would share the cache of the user's client, and empty it at each lost connection.
  clientSideCache: undefined
} as const

const CLIENT_METHODS = ['getPubSubListeners', 'sendCommand'] as const
/**
 * The engine uses methods of clusters and sentinels that are not documented. Another version may
 * not have them.
 */
const UNKNOWN_VERSION =
  'This version of `redis` does not give access to the clients of its servers: use a version ' +
  'named in docs/operating.md, or `ioredis`'

/** Finds the servers behind a client of `redis`. Returns undefined for anything else. */
export function findNodeRedis (given: unknown, isSharded: boolean): RedisServers | undefined {
  if (!hasMethods(given, 'sSubscribe', 'duplicate')) return undefined
  if (hasMethods(given, ...CLIENT_METHODS)) {
    const server = serverOf(given as Client, isSharded, () => true)
    return { kind: 'one', find: async () => [server] }
  }
  if (hasMethods(given, 'nodeClient')) {
    return { kind: 'cluster', find: () => findMasters(given as Cluster, isSharded) }
  }
  if (hasMethods(given, 'getMasterNode')) {
    return { kind: 'sentinel', find: () => findMaster(given as Sentinel, isSharded) }
  }
  return undefined
}

function hasMethods (given: unknown, ...names: readonly string[]): boolean {
  return names.every(
    (name) => typeof (given as Record<string, unknown> | null | undefined)?.[name] === 'function'
  )
}

function findMasters (template: Cluster, isSharded: boolean): Promise<readonly RedisServer[]> {
  return whileConnected(
    template.duplicate({ minimizeConnections: false, clientSideCache: undefined }),
    async (cluster) => {
      const owners = cluster.slots.map((shard) => shard?.master.address)
      return Promise.all(
        cluster.masters.map(async (node) =>
          serverOf(
            await cluster.nodeClient(node),
            isSharded,
            (slot) => owners[slot] === node.address
          )
        )
      )
    }
  )
}

async function findMaster (
  template: Sentinel,
  isSharded: boolean
): Promise<readonly RedisServer[]> {
  if (!hasMethods(template, '_execute')) throw new Error(UNKNOWN_VERSION)
  return whileConnected(
    template.duplicate({ clientSideCache: undefined, reserveClient: false }),
    async (sentinel) => [
      await sentinel._execute(false, async (client) => serverOf(client, isSharded, () => true))
    ]
  )
}

async function whileConnected<F extends Finder, T> (
  finder: F,
  task: (finder: F) => Promise<T>
): Promise<T> {
  let reason: unknown
  finder.on('error', ((error: unknown) => { reason = error }) as () => void)
  try {
    await finder.connect()
    return await task(finder)
  } catch (error) {
    throw reason ?? error
  } finally {
    // `destroy` of a sentinel returns a promise; `destroy` of a cluster that is not open throws.
    await Promise.resolve().then(() => finder.destroy()).catch(() => {})
  }
}

/** Throws if the client lacks a method that the engine needs. */
function serverOf (
  template: Client,
  isSharded: boolean,
  has: (slot: number) => boolean
): RedisServer {
  if (!hasMethods(template, 'duplicate', ...CLIENT_METHODS)) throw new Error(UNKNOWN_VERSION)
  return {
    has,
    connect: (events) => new NodeRedisConnection(duplicate(template), isSharded, events)
  }
}

function duplicate (template: Client): Client {
  // By default the client does not reconnect after a `socketTimeout`. `Liveness` detects silence
  // instead.
  return template.duplicate({
    ...OVERRIDES,
    socket: { ...template.options?.socket, socketTimeout: undefined }
  })
}

class NodeRedisConnection implements RedisConnection {
  readonly #client: Client
  readonly #isSharded: boolean
  readonly #receive: Receive
  #hasSocket = false
  #isDialing = true
  #isClosed = false

  constructor (client: Client, isSharded: boolean, { change, receive, moved }: ConnectionEvents) {
    this.#client = client
    this.#isSharded = isSharded
    this.#receive = (message, channel) => receive(channel.toString(), message)
    for (const event of ['connect', 'ready', 'error', 'reconnecting', 'end']) {
      client.on(event, (reason) => {
        this.#isDialing = event === 'reconnecting'
        this.#hasSocket = event === 'connect' || event === 'ready'
        if (this.#isClosed) return this.#destroy()
        // The client would resubscribe to these channels by itself, and twice to channels that the
        // library subscribes again.
        if (!client.isReady) client.getPubSubListeners(isSharded ? 'SHARDED' : 'CHANNELS').clear()
        change(event === 'error' ? reason : undefined)
      })
    }
    client.on('sharded-channel-moved', moved)
    // Rejects when the client gives up. `error` has reported the reason before.
    client.connect().catch(() => {})
  }

  get state (): ConnectionState {
    if (this.#isClosed || !this.#hasSocket) return 'away'
    return this.#client.isReady ? 'ready' : 'connected'
  }

  publish (channel: string, payload: Buffer): Promise<unknown> {
    // Not `publish` and `sPublish`: redis 6 adds its `keyPrefix` to the channel in `sPublish`, but
    // not in `sSubscribe`.
    return this.#client.sendCommand([this.#isSharded ? 'SPUBLISH' : 'PUBLISH', channel, payload])
  }

  subscribe (channel: string): Promise<unknown> {
    return this.#isSharded
      ? this.#client.sSubscribe(channel, this.#receive, true)
      : this.#client.subscribe(channel, this.#receive, true)
  }

  unsubscribe (channel: string): Promise<unknown> {
    return this.#isSharded
      ? this.#client.sUnsubscribe(channel, this.#receive, true)
      : this.#client.unsubscribe(channel, this.#receive, true)
  }

  ask (name: string, ...args: string[]): Promise<unknown> {
    return this.#client.sendCommand([name.toUpperCase(), ...args])
  }

  close (): void {
    this.#isClosed = true
    this.#destroy()
  }

  /**
   * Destroys the client, but not while it connects: redis 5 and 6 would leave the new socket open,
   * and nothing could close it.
   */
  #destroy (): void {
    if (!this.#isDialing && this.#client.isOpen) this.#client.destroy()
  }
}
