import { getOrAdd } from './subscriptions.ts'

interface Waiting<S> {
  readonly subscriber: S
  readonly resolve: (isReady: boolean) => void
}

/** Those who wait until a topic is subscribed at the broker. */
export class Readiness<S> {
  readonly #byTopic = new Map<string, Set<Waiting<S>>>()
  readonly #bySubscriber = new Map<S, Map<Waiting<S>, string>>()
  #isStopped = false

  /**
   * Resolves with what `settle` is given, or with false when the subscriber leaves or all is
   * stopped.
   */
  wait (topic: string, subscriber: S): Promise<boolean> {
    if (this.#isStopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      const waiting: Waiting<S> = { subscriber, resolve }
      getOrAdd(this.#byTopic, topic, () => new Set()).add(waiting)
      getOrAdd(this.#bySubscriber, subscriber, () => new Map()).set(waiting, topic)
    })
  }

  settle (topic: string, isReady: boolean): void {
    for (const waiting of this.#byTopic.get(topic) ?? []) this.#end(waiting, topic, isReady)
  }

  /** The subscriber has left one topic, or all. */
  leave (subscriber: S, left?: string): void {
    for (const [waiting, topic] of this.#bySubscriber.get(subscriber) ?? []) {
      if (left === undefined || left === topic) this.#end(waiting, topic, false)
    }
  }

  stop (): void {
    this.#isStopped = true
    for (const topic of this.#byTopic.keys()) this.settle(topic, false)
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
