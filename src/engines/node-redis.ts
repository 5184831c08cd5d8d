import type {
  ConnectionEvents,
  ConnectionState,
  RedisConnection,
  RedisServer,
  RedisServers
} from './redis-server.ts'

/** A client of `redis` 5 or 6, a cluster, or a sentinel: what tells one from the other. */
export interface NodeRedisClient {
  sSubscribe (...args: never[]): unknown
  duplicate (...args: never[]): object
}

/** Of a client, what is used here. */
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
  /**
   * Gives the client of the present master. No other method does, and this one is not documented.
   */
  _execute<T>(isReadonly: false, task: (client: Client) => Promise<T>): Promise<T>
}

interface Finder {
  connect (): Promise<unknown>
  destroy (): unknown
  on (event: 'error', listener: () => void): unknown
}

type Receive = (message: Buffer, channel: Buffer) => void

const OVERRIDES = {
  // What cannot be sent is rejected, not kept for later.
  disableOfflineQueue: true,
  // A cache would be shared with the user's client, and emptied whenever this connection is lost.
  clientSideCache: undefined
} as const

const CLIENT_METHODS = ['getPubSubListeners', 'sendCommand'] as const
/**
 * What the engine uses of a cluster and of sentinels is in part not documented, and may be gone in
 * a version to come.
 */
const UNKNOWN_VERSION =
  'This version of `redis` does not lead to the clients of its servers: use one that is named in docs/operating.md, or `ioredis`'

/** The servers that a client of `redis` leads to, or undefined when it is no such client. */
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
    // Of a sentinel it is a promise; of a cluster that is not open it throws.
    await Promise.resolve().then(() => finder.destroy()).catch(() => {})
  }
}

/** Throws when it has not what is needed here. */
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
  // After a `socketTimeout` the client does not connect again by default. Liveness notices silence
  // here.
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
        // It would subscribe by itself to all that it has here, and twice to what is asked for
        // anew.
        if (!client.isReady) client.getPubSubListeners(isSharded ? 'SHARDED' : 'CHANNELS').clear()
        change(event === 'error' ? reason : undefined)
      })
    }
    client.on('sharded-channel-moved', moved)
    // Rejects when it gives up, which `error` has told before.
    client.connect().catch(() => {})
  }

  get state (): ConnectionState {
    if (this.#isClosed || !this.#hasSocket) return 'away'
    return this.#client.isReady ? 'ready' : 'connected'
  }

  publish (channel: string, payload: Buffer): Promise<unknown> {
    // Not `publish` and `sPublish`: the `keyPrefix` of redis 6 is put before the channel by the
    // latter and not by `sSubscribe`.
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
   * Not while it dials: the socket that it is about to have would be left open by redis 5 and 6,
   * and nobody could close it any more.
   */
  #destroy (): void {
    if (!this.#isDialing && this.#client.isOpen) this.#client.destroy()
  }
}
