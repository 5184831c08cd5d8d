import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { FST_WEBSOCK_INVALID_CLIENT } from '../errors.ts'
import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { checkEngineOptions, isBoolean, isText } from './engine-options.ts'
import { findIoredis, type IoredisClient } from './ioredis.ts'
import { Link } from './link.ts'
import { findNodeRedis, type NodeRedisClient } from './node-redis.ts'
import { RedisConnections } from './redis-connections.ts'

export type { IoredisClient, NodeRedisClient }

export interface RedisEngineOptions {
  /**
   * Uses SPUBLISH and SSUBSCRIBE (Redis 7) instead of PUBLISH and SUBSCRIBE. Must be the same on
   * all nodes. Default false.
   */
  readonly sharded?: boolean
  /**
   * The first characters of all channels, at most 256. Must be the same on all nodes. Default
   * `websock:`.
   */
  readonly prefix?: string
}

// Redis disconnects a subscriber with 32 MiB of unread data, or with 8 MiB for a minute
// (`client-output-buffer-limit` of redis.conf).
const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
const RULES = {
  sharded: isBoolean,
  prefix: isText(256)
}

/**
 * Creates an engine over Redis from a client of `redis` (5, 6) or `ioredis` (5, 6), connected or
 * not: a client of one server, of a cluster, or of sentinels.
 *
 * The engine opens its own connections with the options of that client. Throws
 * FST_WEBSOCK_INVALID_CLIENT, _INVALID_OPTION, _UNKNOWN_OPTION.
 */
export function redisEngine (
  client: NodeRedisClient | IoredisClient,
  options: RedisEngineOptions = {}
): Engine {
  const { sharded = false, prefix = 'websock:' } = checkEngineOptions<RedisEngineOptions>(
    options,
    RULES,
    'redisEngine'
  )
  const servers = findNodeRedis(client, sharded) ?? findIoredis(client, sharded)
  if (servers === undefined) {
    throw new FST_WEBSOCK_INVALID_CLIENT(
      'redisEngine',
      'a client, cluster or sentinel of `redis` 5 or 6, or a client or Cluster of `ioredis` 5 or 6',
      inspect(client, { depth: 0 }).slice(0, 80)
    )
  }
  return new RedisEngine(new RedisConnections(servers, sharded), prefix)
}

class RedisEngine implements Engine {
  readonly name = 'redis'
  readonly maxPayloadBytes = MAX_PAYLOAD_BYTES
  readonly #link = new Link('redis')
  readonly #connections: RedisConnections
  readonly #prefix: string
  /**
   * The subscribed topics. Each loss of the broker creates a new set, so that a late failure of an
   * old call does not remove a topic that has been subscribed again.
   */
  #topics = new Set<string>()

  constructor (connections: RedisConnections, prefix: string) {
    this.#connections = connections
    this.#prefix = prefix
  }

  async start (listener: EngineListener): Promise<void> {
    this.#link.start(listener)
    this.#connections.open({
      change: (reason) => this.#updateState(reason),
      receive: (channel, payload) => this.#receive(channel, payload),
      proved: (sentAt) => this.#link.proved(sentAt)
    })
  }

  async subscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      const topics = this.#topics
      if (topics.has(topic)) return
      // Added before the confirmation: one read may hold both the confirmation and publications.
      topics.add(topic)
      try {
        await this.#connections.subscribe(this.#prefix + topic)
      } catch (error) {
        topics.delete(topic)
        throw error
      }
    })
  }

  async unsubscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      if (this.#topics.delete(topic)) await this.#connections.unsubscribe(this.#prefix + topic)
    })
  }

  async publish (topic: string, payload: Uint8Array): Promise<void> {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    await this.#link.call(() => this.#connections.publish(this.#prefix + topic, bytes))
  }

  async stop (): Promise<void> {
    // Clients write their commands at the end of the turn, and drop unwritten ones when they are
    // closed.
    await nextTurn()
    this.#link.stop()
    this.#connections.close()
  }

  #updateState (reason: unknown): void {
    if (this.#connections.areReady) return this.#link.up()
    this.#topics = new Set()
    this.#link.down(reason)
  }

  #receive (channel: string, payload: Uint8Array): void {
    const topic = channel.slice(this.#prefix.length)
    if (this.#topics.has(topic)) this.#link.receive(topic, payload)
  }
}
