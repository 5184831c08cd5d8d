import type { FastifyError, FastifyRequest } from 'fastify'
import type { Connection } from '../connection/connection.ts'
import type { ConnectionOptions } from '../connection/route-context.ts'
import {
  FST_WEBSOCK_DRAINING,
  FST_WEBSOCK_INVALID_KEY,
  FST_WEBSOCK_TOO_MANY_CONNECTIONS,
  FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY
} from '../errors.ts'
import { RETRY_AFTER_SECONDS } from '../upgrade/upgrade.ts'

/** Limits the connections with the same key. */
export interface ConnectionKey {
  readonly max: number
  readonly key: (request: FastifyRequest) => string
}

export interface RegistryOptions {
  readonly maxConnections: number | undefined
  readonly maxConnectionsPerKey: number | ConnectionKey | undefined
}

/**
 * The connections of the app. A connection stays from its 101 until its `terminate` has settled and
 * its socket is closed. It counts towards `maxConnections` and `maxConnectionsPerKey` until its
 * socket is closed.
 */
export class ConnectionRegistry {
  readonly #options: RegistryOptions
  /**
   * By id. The values are entries that are emptied on removal: a Map that grows or shrinks leaves
   * its old table to the garbage collector, and a table in V8's old generation keeps its values
   * until a full collection.
   */
  readonly #connections = new Map<string, { connection: Connection | undefined }>()
  #open = 0
  readonly #keys = new Map<string, number>()
  #draining = false
  #empty: Promise<void> | undefined
  #emptied: (() => void) | undefined

  constructor (options: RegistryOptions) {
    this.#options = options
  }

  get (id: string): Connection | undefined {
    return this.#connections.get(id)?.connection
  }

  * values (): Iterable<Connection> {
    for (const { connection } of this.#connections.values()) if (connection) yield connection
  }

  /** The error that refuses this request now, or undefined. */
  refusal (request: FastifyRequest): FastifyError | undefined {
    const { maxConnections, maxConnectionsPerKey } = this.#options
    if (this.#draining) return retryLater(new FST_WEBSOCK_DRAINING())
    if (maxConnections !== undefined && this.#open >= maxConnections) {
      return retryLater(new FST_WEBSOCK_TOO_MANY_CONNECTIONS())
    }
    if (maxConnectionsPerKey === undefined) return undefined
    const max =
      typeof maxConnectionsPerKey === 'number' ? maxConnectionsPerKey : maxConnectionsPerKey.max
    return (this.#keys.get(this.keyOf(request) ?? '') ?? 0) >= max
      ? new FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY()
      : undefined
  }

  /**
   * The key of a connection of this request, or undefined without `maxConnectionsPerKey`. Must be
   * called before the 101, because it throws FST_WEBSOCK_INVALID_KEY and the errors of the option's
   * function.
   */
  keyOf (request: FastifyRequest): string | undefined {
    const { maxConnectionsPerKey } = this.#options
    if (maxConnectionsPerKey === undefined) return undefined
    // The clients of a Unix socket have no address, so they share one key.
    const key: unknown =
      typeof maxConnectionsPerKey === 'object'
        ? maxConnectionsPerKey.key(request)
        : ((request.ip as string | undefined) ?? '')
    if (typeof key !== 'string') throw new FST_WEBSOCK_INVALID_KEY(typeof key)
    return key
  }

  add (connection: Connection): void {
    const { id, key } = connection.options
    this.#connections.set(id, { connection })
    this.#open++
    if (key !== undefined) this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1)
  }

  /** Removes the connection from the limits. Must be called once for each connection. */
  socketClosed ({ key }: ConnectionOptions): void {
    this.#open--
    if (key !== undefined) this.#countOut(key)
  }

  /** Removes the connection. Must be called once for each connection. */
  delete ({ id }: ConnectionOptions): void {
    const entry = this.#connections.get(id)
    if (entry !== undefined) entry.connection = undefined
    this.#connections.delete(id)
    if (this.#connections.size === 0) this.#emptied?.()
  }

  /** From now on `refusal` refuses all requests. */
  startDraining (): void {
    this.#draining = true
  }

  /** Resolves when there are no connections. Must be called after `startDraining`. */
  async empty (): Promise<void> {
    if (this.#connections.size === 0) return
    this.#empty ??= new Promise<void>((resolve) => { this.#emptied = resolve })
    await this.#empty
  }

  #countOut (key: string): void {
    const left = (this.#keys.get(key) ?? 1) - 1
    if (left === 0) this.#keys.delete(key)
    else this.#keys.set(key, left)
  }
}

function retryLater (error: FastifyError): FastifyError {
  return Object.assign(error, { headers: { 'retry-after': RETRY_AFTER_SECONDS } })
}
