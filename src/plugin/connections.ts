import type { Ref } from '../connection/ref.ts'
import type { ConnectionRegistry } from './connection-registry.ts'

/** One open connection. Its state is private. */
export interface WebsocketConnection {
  /** The `ws.id` of its callbacks, and the `websocket` of its log lines. */
  readonly id: string
  /** The URL of its route as declared, prefix included: `/rooms/:room`. */
  readonly route: string
  readonly ref: Ref
}

/**
 * The open connections of this process. A connection is open from the 101 until its end begins, as
 * long as `ref.post` reaches it.
 */
export class WebsocketConnections implements Iterable<WebsocketConnection> {
  readonly #registry: ConnectionRegistry

  constructor (registry: ConnectionRegistry) {
    this.#registry = registry
  }

  /** The number of connections. Visits all connections. */
  get size (): number {
    let size = 0
    for (const { ending } of this.#registry.values()) if (!ending) size++
    return size
  }

  /**
   * The number of connections of each route: `{ '/rooms/:room': 5 }`. Routes without connections
   * are left out. Visits all connections.
   */
  countByRoute (): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const {
      ending,
      group: { url }
    } of this.#registry.values()) {
      if (!ending) counts[url] = (counts[url] ?? 0) + 1
    }
    return counts
  }

  /** In the order in which they opened. Connections may open and end during the iteration. */
  * [Symbol.iterator] (): Generator<WebsocketConnection, void, undefined> {
    for (const connection of this.#registry.values()) {
      if (!connection.ending) {
        yield { id: connection.id, route: connection.group.url, ref: connection.createRef() }
      }
    }
  }
}
