import type { RedisConnections, RedisEvents } from './redis-connections.ts'

/** Of a client of `redis` 5 or 6, what is used here. */
export interface NodeRedisClient {
  /** Marks it: the name that only this client has. */
  sSubscribe: NodeRedisConnection['sSubscribe']
  duplicate (overrides: { readonly disableOfflineQueue: true }): NodeRedisConnection
}

export interface NodeRedisConnection {
  readonly isOpen: boolean
  readonly isReady: boolean
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

type Receive = (message: Buffer, channel: Buffer) => void

const OVERRIDES = {
  // What cannot be sent is rejected, not kept for later.
  disableOfflineQueue: true,
  // A cache would be one with the user's, and be emptied whenever this connection is lost. Not in the type: undefined is in that of `redis` for some only.
  clientSideCache: undefined
} as const

export function isNodeRedis (client: unknown): client is NodeRedisClient {
  const { sSubscribe, duplicate, sendCommand, getPubSubListeners } = (client ?? {}) as Partial<NodeRedisClient & NodeRedisConnection>
  // The last one is what a client of a cluster lacks.
  return [sSubscribe, duplicate, sendCommand, getPubSubListeners].every((method) => typeof method === 'function')
}

/** Two duplicates of a node-redis client. */
export class NodeRedisConnections implements RedisConnections {
  readonly #client: NodeRedisClient
  readonly #sharded: boolean
  #publisher: OwnConnection | undefined
  #subscriber: OwnConnection | undefined
  #receive: Receive = () => {}

  constructor (client: NodeRedisClient, sharded: boolean) {
    this.#client = client
    this.#sharded = sharded
  }

  get areReady (): boolean {
    return this.#publisher?.client.isReady === true && this.#subscriber?.client.isReady === true
  }

  open ({ change, receive }: RedisEvents): void {
    this.#receive = (message, channel) => receive(channel.toString(), message)
    this.#publisher = new OwnConnection(this.#client, change)
    this.#subscriber = new OwnConnection(this.#client, (reason) => {
      // Lost: it would subscribe by itself to all that it has here, and twice to what is asked for anew.
      if (this.#subscriber?.client.isReady === false) this.#subscriber.client.getPubSubListeners(this.#sharded ? 'SHARDED' : 'CHANNELS').clear()
      change(reason)
    })
  }

  publish (channel: string, payload: Buffer): Promise<unknown> {
    // Not `publish` and `sPublish`: the `keyPrefix` of redis 6 is put before the channel by the latter and not by `sSubscribe`.
    return open(this.#publisher).sendCommand([this.#sharded ? 'SPUBLISH' : 'PUBLISH', channel, payload])
  }

  subscribe (channel: string): Promise<unknown> {
    const client = open(this.#subscriber)
    return this.#sharded ? client.sSubscribe(channel, this.#receive, true) : client.subscribe(channel, this.#receive, true)
  }

  unsubscribe (channel: string): Promise<unknown> {
    const client = open(this.#subscriber)
    return this.#sharded ? client.sUnsubscribe(channel, this.#receive, true) : client.unsubscribe(channel, this.#receive, true)
  }

  close (): void {
    this.#publisher?.close()
    this.#subscriber?.close()
  }
}

function open (connection: OwnConnection | undefined): NodeRedisConnection {
  if (connection?.client.isReady !== true) throw new Error('The connection to Redis is not ready')
  return connection.client
}

class OwnConnection {
  readonly client: NodeRedisConnection
  #isDialing = true
  #isClosed = false

  constructor (template: NodeRedisClient, change: (reason?: unknown) => void) {
    this.client = template.duplicate(OVERRIDES)
    for (const event of ['connect', 'ready', 'error', 'reconnecting', 'end']) {
      this.client.on(event, (reason) => {
        this.#isDialing = event === 'reconnecting'
        if (this.#isClosed) this.#destroy()
        else change(reason)
      })
    }
    // Rejects when it gives up, which `error` has told before.
    this.client.connect().catch(() => {})
  }

  close (): void {
    this.#isClosed = true
    this.#destroy()
  }

  /** Not while it dials: the socket that it is about to have would be left open by redis 5 and 6, and nobody could close it any more. */
  #destroy (): void {
    if (!this.#isDialing && this.client.isOpen) this.client.destroy()
  }
}
