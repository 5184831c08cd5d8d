import type { SystemMessage } from '../connection/system-message.ts'

/**
 * Subscribers that have missed publications and have not been notified yet.
 *
 * Each is notified once per outage, when all its topics are subscribed again. Data that it then
 * reads from a database misses nothing.
 */
export class Gaps<S extends { notify (message: SystemMessage): unknown }> {
  readonly #since = new Map<S, number>()
  readonly #isBehind: (subscriber: S) => boolean
  #isScheduled = false

  /** `isBehind` tells whether a topic of this subscriber is not subscribed at the broker. */
  constructor (isBehind: (subscriber: S) => boolean) {
    this.#isBehind = isBehind
  }

  /** `since`: in ms of `performance.now()`. */
  add (subscriber: S, since: number): void {
    this.#since.set(subscriber, Math.min(since, this.#since.get(subscriber) ?? Infinity))
  }

  has (subscriber: S): boolean {
    return this.#since.has(subscriber)
  }

  delete (subscriber: S): void {
    this.#since.delete(subscriber)
  }

  /** Notifies each subscriber whose topics are all subscribed at the broker. */
  notify (): void {
    const now = performance.now()
    for (const [subscriber, since] of this.#since) {
      if (this.#isBehind(subscriber)) continue
      this.#since.delete(subscriber)
      subscriber.notify({ type: 'gap', info: { ms: Math.ceil(now - since) } })
    }
  }

  /** Calls `notify` once at the end of this turn of the event loop. */
  notifySoon (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.notify()
    })
  }
}
