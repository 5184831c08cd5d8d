import type { SystemMessage } from '../connection/system-message.ts'

/** Subscribers with the same `send` schema and codec, which share one prepared message. */
export interface Group<Prepared> {
  /**
   * Encodes a message. Throws when it cannot be sent. A group without this function gets no
   * broadcasts.
   */
  readonly prepare?: (message: unknown) => Prepared
  /**
   * Checks an info from another node, and returns it as the subscribers will receive it. Throws
   * when it does not match their schema.
   */
  readonly checkInfo?: ((info: unknown) => unknown) | undefined
}

/** A connection or a listener. No method throws. */
export interface Subscriber<Prepared> {
  readonly id: string
  readonly group: Group<Prepared>
  /** Puts an info into its mailbox. */
  offer (info: unknown, topic: string): boolean
  /** Puts a message into its send queue. Calls no code of the application. */
  broadcast (message: Prepared, topic: string): void
  /** Puts a system message into its mailbox. */
  notify (message: SystemMessage): unknown
}

/** A subscriber that has an address. */
export interface Addressee<Prepared> extends Subscriber<Prepared> {
  /** Ends the connection at the end of the tick. */
  closeSoon (code: number, reason: string): void
}

export interface SubscriptionsOwner {
  /** A topic has its first subscriber. */
  topicOpened (topic: string): void
  /** A topic has no subscriber any more. */
  topicClosed (topic: string): void
}

type Groups<Prepared> = Map<Group<Prepared>, Set<Subscriber<Prepared>>>

interface Topic<Prepared> {
  readonly name: string
  readonly groups: Groups<Prepared>
}

/**
 * The subscriptions of this process. The cost of a publication depends only on the number of
 * subscribers of its topic.
 */
export class Subscriptions<Prepared> {
  /** Number of subscriptions of all subscribers. */
  count = 0
  readonly #owner: SubscriptionsOwner
  readonly #topics = new Map<string, Topic<Prepared>>()
  /**
   * The values are not names: each subscription would keep its own copy of a name that came in a
   * message.
   */
  readonly #bySubscriber = new Map<Subscriber<Prepared>, Set<Topic<Prepared>>>()

  constructor (owner: SubscriptionsOwner) {
    this.#owner = owner
  }

  get topics (): number { return this.#topics.size }

  isSubscribed (subscriber: Subscriber<Prepared>): boolean {
    return this.#bySubscriber.has(subscriber)
  }

  has (name: string, subscriber: Subscriber<Prepared>): boolean {
    return this.#topics.get(name)?.groups.get(subscriber.group)?.has(subscriber) === true
  }

  * topicsOf (subscriber: Subscriber<Prepared>): Iterable<string> {
    for (const { name } of this.#bySubscriber.get(subscriber) ?? []) yield name
  }

  /** The subscribers of a topic, by group. */
  of (name: string): Groups<Prepared> | undefined {
    return this.#topics.get(name)?.groups
  }

  /** Puts an info into the mailbox of each subscriber of a topic but `excluded`. */
  offer (topic: string, info: unknown, excluded: Subscriber<Prepared> | undefined): void {
    for (const subscribers of this.of(topic)?.values() ?? []) {
      for (const subscriber of subscribers) {
        if (subscriber !== excluded) subscriber.offer(info, topic)
      }
    }
  }

  /**
   * Sends a message to the client of each subscriber of a topic but `excluded`. Throws, and sends
   * nothing, when a group cannot encode it.
   */
  broadcast (topic: string, message: unknown, excluded: Subscriber<Prepared> | undefined): void {
    // Prepared before anything is sent: if one group cannot encode the message, it is sent to none.
    const prepared = Array.from(
      this.of(topic) ?? [],
      ([group, subscribers]) => [group.prepare?.(message), subscribers] as const
    )
    for (const [made, subscribers] of prepared) {
      if (made === undefined) continue
      for (const subscriber of subscribers) {
        if (subscriber !== excluded) subscriber.broadcast(made, topic)
      }
    }
  }

  /** Idempotent. */
  add (name: string, subscriber: Subscriber<Prepared>): void {
    const known = this.#topics.has(name)
    const topic = getOrAdd(this.#topics, name, (): Topic<Prepared> => ({ name, groups: new Map() }))
    getOrAdd(topic.groups, subscriber.group, () => new Set()).add(subscriber)
    const topics = getOrAdd(this.#bySubscriber, subscriber, () => new Set())
    const before = topics.size
    this.count += topics.add(topic).size - before
    if (!known) this.#owner.topicOpened(name)
  }

  delete (name: string, subscriber: Subscriber<Prepared>): void {
    const topic = this.#topics.get(name)
    const topics = this.#bySubscriber.get(subscriber)
    if (topic === undefined || topics?.delete(topic) !== true) return
    if (topics.size === 0) this.#bySubscriber.delete(subscriber)
    this.#remove(topic, subscriber)
  }

  /** Ends all subscriptions of a subscriber. */
  deleteAll (subscriber: Subscriber<Prepared>): void {
    const topics = this.#bySubscriber.get(subscriber)
    if (topics === undefined) return
    this.#bySubscriber.delete(subscriber)
    for (const topic of topics) this.#remove(topic, subscriber)
  }

  #remove ({ name, groups }: Topic<Prepared>, subscriber: Subscriber<Prepared>): void {
    this.count--
    const subscribers = groups.get(subscriber.group)
    subscribers?.delete(subscriber)
    if (subscribers?.size === 0) groups.delete(subscriber.group)
    if (groups.size > 0) return
    this.#topics.delete(name)
    this.#owner.topicClosed(name)
  }
}

export function getOrAdd<K, V> (map: Map<K, V>, key: K, create: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const created = create()
  map.set(key, created)
  return created
}
