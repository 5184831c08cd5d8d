import type { EventEmitter } from 'node:events'
import { setTimeout as later } from 'node:timers/promises'
import { Redis as Ioredis } from 'ioredis'
import { Redis as Ioredis5 } from 'ioredis5'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import type { Teardown } from './server.ts'

const RECONNECT_MS = 50

export interface ClientOptions {
  readonly resp?: 2 | 3
  readonly keyPrefix?: string
}

/** A kind of Redis client. */
export interface RedisClientKind {
  readonly name: string
  /** Creates a client that is not connected, and that ignores its errors. */
  create(
    port: number,
    options?: ClientOptions
  ): ReturnType<typeof createRedis6> | ReturnType<typeof createRedis5> | Ioredis | Ioredis5
}

function createRedis6 (port: number, { resp = 3, keyPrefix = '' }: ClientOptions = {}) {
  return createClient({
    socket: { host: '127.0.0.1', port, reconnectStrategy: RECONNECT_MS },
    RESP: resp,
    keyPrefix
  }).on('error', () => {})
}

function createRedis5 (port: number, { resp = 2 }: ClientOptions = {}) {
  return createClient5({
    socket: { host: '127.0.0.1', port, reconnectStrategy: RECONNECT_MS },
    RESP: resp
  }).on('error', () => {})
}

function createIoredis (port: number, { resp = 3, keyPrefix = '' }: ClientOptions = {}): Ioredis {
  return new Ioredis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: () => RECONNECT_MS,
    protocol: resp,
    keyPrefix
  }).on('error', () => {})
}

/** ioredis 5 supports only RESP 2. */
function createIoredis5 (port: number, { keyPrefix = '' }: ClientOptions = {}): Ioredis5 {
  return new Ioredis5(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: () => RECONNECT_MS,
    keyPrefix
  }).on('error', () => {})
}

export const REDIS_CLIENTS: readonly RedisClientKind[] = [
  { name: 'redis 6', create: createRedis6 },
  { name: 'redis 5', create: createRedis5 },
  { name: 'ioredis 6', create: createIoredis },
  { name: 'ioredis 5', create: createIoredis5 }
]

/** Connects a client. It is closed when the test ends. */
export async function connectClient (t: Teardown, { create }: RedisClientKind, port: number) {
  const client = create(port)
  await client.connect()
  t.teardown(() => client.disconnect())
  return client
}

/** The number of listeners of each event. */
export function countListeners (emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(
    emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)])
  )
}

/** A connection to inspect a server with commands, and to wait for an expected answer. */
export class RedisAdmin {
  readonly #client: ReturnType<typeof createRedis6>

  constructor (client: ReturnType<typeof createRedis6>) {
    this.#client = client
  }

  async ask<T> (...args: string[]): Promise<T> {
    return await this.#client.sendCommand(args) as T
  }

  /** The number of other connections. */
  async countOthers (): Promise<number> {
    return (await this.ask<string>('CLIENT', 'LIST')).trim().split('\n').length - 1
  }

  /** Asks until `isWanted` accepts the answer. Rejects with the last answer after `deadlineMs`. */
  async until<T>(
    ask: () => Promise<T>,
    isWanted: (answer: T) => boolean,
    deadlineMs = 15_000
  ): Promise<T> {
    const end = Date.now() + deadlineMs
    for (;;) {
      const answer = await ask()
      if (isWanted(answer)) return answer
      if (Date.now() > end) {
        throw new Error(`still ${JSON.stringify(answer)} after ${deadlineMs} ms`)
      }
      await later(10)
    }
  }
}

export async function connectAdmin (t: Teardown, port: number): Promise<RedisAdmin> {
  const client = createRedis6(port)
  await client.connect()
  t.teardown(() => client.disconnect())
  return new RedisAdmin(client)
}
