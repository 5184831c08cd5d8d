import type { Ref } from '../connection/ref.ts'
import type { ConnectionRegistry } from './connection-registry.ts'

/** One open connection, as others see it: its state is its own. */
export interface WebsocketConnection {
  /** The `ws.id` of its callbacks, and the `websocket` of its log lines. */
  readonly id: string
  /** The URL of its route as declared, prefix included: `/rooms/:room`. */
  readonly route: string
  readonly ref: Ref
}

/**
 * The connections of this process that are open: from the 101 until they begin to end, as long as
 * `ref.post` reaches them.
 */
export class WebsocketConnections implements Iterable<WebsocketConnection> {
  readonly #registry: ConnectionRegistry

  constructor (registry: ConnectionRegistry) {
    this.#registry = registry
  }

  /** The number of connections. Walks all of them. */
  get size (): number {
    let size = 0
    for (const { ending } of this.#registry.values()) if (!ending) size++
    return size
  }

  /**
   * The number of connections of each route that has some: `{ '/rooms/:room': 5 }`. Walks all of
   * them.
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

  /** In the order in which they came. Connections may come and end meanwhile. */
  * [Symbol.iterator] (): Generator<WebsocketConnection, void, undefined> {
    for (const connection of this.#registry.values()) {
      if (!connection.ending) {
        yield { id: connection.id, route: connection.group.url, ref: connection.createRef() }
      }
    }
  }
}
