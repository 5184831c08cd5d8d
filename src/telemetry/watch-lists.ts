import type { ObservedConnection } from './observed.ts'

/** Connections with a property that few have, and since when they have it. */
export class WatchList {
  /** In the order in which they came. Since: in ms of `performance.now()`. */
  readonly #since = new Map<ObservedConnection, number>()

  get size (): number { return this.#since.size }

  add (connection: ObservedConnection): void {
    if (!this.#since.has(connection)) this.#since.set(connection, performance.now())
  }

  delete (connection: ObservedConnection): void { this.#since.delete(connection) }

  entries (): Iterable<[connection: ObservedConnection, since: number]> { return this.#since }
}

/** What `stats()` tells of single connections is looked up here, and not among all of them. */
export class WatchLists {
  /** Whose socket is not read, because somebody holds it. */
  readonly held = new WatchList()
  /** Who has more than `maxBufferedBytes` to take, until half of it has left. */
  readonly slow = new WatchList()
  /** Whose mailbox has reached `LONG_MAILBOX`, until it is empty. */
  readonly long = new WatchList()
}
