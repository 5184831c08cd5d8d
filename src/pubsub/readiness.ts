import { getOrAdd } from './subscriptions.ts'

interface Waiting<S> {
  readonly subscriber: S
  readonly resolve: (isReady: boolean) => void
}

/** Promises that wait until a topic is subscribed at the broker. */
export class Readiness<S> {
  readonly #byTopic = new Map<string, Set<Waiting<S>>>()
  readonly #bySubscriber = new Map<S, Map<Waiting<S>, string>>()
  #isStopped = false

  /**
   * Resolves with the value that `resolve` is called with, or with false when the subscription ends
   * or `stop` is called.
   */
  wait (topic: string, subscriber: S): Promise<boolean> {
    if (this.#isStopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      const waiting: Waiting<S> = { subscriber, resolve }
      getOrAdd(this.#byTopic, topic, () => new Set()).add(waiting)
      getOrAdd(this.#bySubscriber, subscriber, () => new Map()).set(waiting, topic)
    })
  }

  resolve (topic: string, isReady: boolean): void {
    for (const waiting of this.#byTopic.get(topic) ?? []) this.#end(waiting, topic, isReady)
  }

  /** Resolves the waits of a subscriber with false: those for one topic, or all. */
  cancel (subscriber: S, only?: string): void {
    for (const [waiting, topic] of this.#bySubscriber.get(subscriber) ?? []) {
      if (only === undefined || only === topic) this.#end(waiting, topic, false)
    }
  }

  stop (): void {
    this.#isStopped = true
    for (const topic of this.#byTopic.keys()) this.resolve(topic, false)
  }

  #end (waiting: Waiting<S>, topic: string, isReady: boolean): void {
    remove(this.#byTopic, topic, waiting)
    remove(this.#bySubscriber, waiting.subscriber, waiting)
    waiting.resolve(isReady)
  }
}

function remove<K, V> (map: Map<K, Set<V> | Map<V, string>>, key: K, value: V): void {
  const values = map.get(key)
  values?.delete(value)
  if (values?.size === 0) map.delete(key)
}
