import type { RedisConnections, RedisEvents } from './redis-connections.ts'

/** Of a client of `ioredis` 5 or 6, what is used here. */
export interface IoredisClient {
  /** Marks it: the name that only this client has. */
  ssubscribe: IoredisConnection['ssubscribe']
  duplicate (override: typeof OVERRIDE): IoredisConnection
}

export interface IoredisConnection {
  readonly status: string
  connect (): Promise<unknown>
  disconnect (): void
  on (event: string, listener: (...args: never[]) => void): unknown
  publish (channel: string, message: Buffer): Promise<unknown>
  spublish (channel: string, message: Buffer): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  unsubscribe (channel: string): Promise<unknown>
  ssubscribe (channel: string): Promise<unknown>
  sunsubscribe (channel: string): Promise<unknown>
}

const OVERRIDE = {
  lazyConnect: true,
  // What cannot be sent is rejected, not kept for later.
  enableOfflineQueue: false,
  // What was sent is not sent once more by the next connection: Redis may have it, and it would come twice.
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableAutoPipelining: false,
  // It is put before the channel of the sharded commands, and not of the others.
  keyPrefix: ''
} as const

export function isIoredis (client: unknown): client is IoredisClient {
  const { ssubscribe, duplicate, isCluster } = (client ?? {}) as Partial<IoredisClient> & { isCluster?: unknown }
  return typeof ssubscribe === 'function' && typeof duplicate === 'function' && isCluster !== true
}

/** Two duplicates of an ioredis client. The one that publishes too, because the user's own sends again what it has sent. */
export class IoredisConnections implements RedisConnections {
  readonly #client: IoredisClient
  readonly #sharded: boolean
  #publisher: IoredisConnection | undefined
  #subscriber: IoredisConnection | undefined

  constructor (client: IoredisClient, sharded: boolean) {
    this.#client = client
    this.#sharded = sharded
  }

  get areReady (): boolean {
    return this.#publisher?.status === 'ready' && this.#subscriber?.status === 'ready'
  }

  open ({ change, receive }: RedisEvents): void {
    this.#publisher = openOwn(this.#client, change)
    this.#subscriber = openOwn(this.#client, change)
    this.#subscriber.on(this.#sharded ? 'smessageBuffer' : 'messageBuffer', (channel: Buffer, payload: Buffer) => receive(channel.toString(), payload))
  }

  async publish (channel: string, payload: Buffer): Promise<unknown> {
    return this.#sharded ? this.#publisher?.spublish(channel, payload) : this.#publisher?.publish(channel, payload)
  }

  async subscribe (channel: string): Promise<unknown> {
    return this.#sharded ? this.#subscriber?.ssubscribe(channel) : this.#subscriber?.subscribe(channel)
  }

  async unsubscribe (channel: string): Promise<unknown> {
    return this.#sharded ? this.#subscriber?.sunsubscribe(channel) : this.#subscriber?.unsubscribe(channel)
  }

  close (): void {
    this.#publisher?.disconnect()
    this.#subscriber?.disconnect()
  }
}

function openOwn (template: IoredisClient, change: (reason?: unknown) => void): IoredisConnection {
  const connection = template.duplicate(OVERRIDE)
  for (const event of ['ready', 'close', 'end', 'error']) connection.on(event, change)
  // Tries again by itself, as `retryStrategy` says; `error` and `end` have told.
  connection.connect().catch(() => {})
  return connection
}
