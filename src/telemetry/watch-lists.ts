import type { ObservedConnection } from './observed.ts'

/** The few connections in one condition, and since when. */
export class WatchList {
  /** In the order of `add`. The value: since when, in ms of `performance.now()`. */
  readonly #since = new Map<ObservedConnection, number>()

  get size (): number { return this.#since.size }

  add (connection: ObservedConnection): void {
    if (!this.#since.has(connection)) this.#since.set(connection, performance.now())
  }

  delete (connection: ObservedConnection): void { this.#since.delete(connection) }

  entries (): Iterable<[connection: ObservedConnection, since: number]> { return this.#since }
}

/**
 * The connections that `stats()` describes individually. These lists keep it from examining all
 * connections.
 */
export class WatchLists {
  /** Connections whose reading is paused. */
  readonly held = new WatchList()
  /** Connections whose unsent bytes exceeded `maxBufferedBytes`, until half of it has been sent. */
  readonly slow = new WatchList()
  /** Connections whose mailbox has reached `LONG_MAILBOX` letters, until it is empty. */
  readonly long = new WatchList()
}
