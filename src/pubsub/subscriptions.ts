import type { SystemMessage } from '../connection/system-message.ts'

/**
 * Those whose messages have the same schema and codec, so that one prepared message serves them
 * all.
 */
export interface Group<Prepared> {
  /** Throws when the message cannot be sent. Without it, broadcasts pass these by. */
  readonly prepare?: (message: unknown) => Prepared
  /**
   * Gives an info from another node as it is to be handed on; throws when it does not match their
   * schema.
   */
  readonly checkInfo?: ((info: unknown) => unknown) | undefined
}

/** Who may be told of a topic. None of these throws. */
export interface Subscriber<Prepared> {
  readonly id: string
  readonly group: Group<Prepared>
  /** Into its mailbox. */
  offer (info: unknown, topic: string): boolean
  /** Into its send queue. Runs nobody's code within the call. */
  broadcast (message: Prepared, topic: string): void
  /** What the library itself has to tell. */
  notify (message: SystemMessage): unknown
}

/** A subscriber that has an address. */
export interface Addressee<Prepared> extends Subscriber<Prepared> {
  /** Ends it at the end of the tick. */
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
 * Who in this process wants to be told of what. What telling costs grows with the subscribers of
 * that topic alone.
 */
export class Subscriptions<Prepared> {
  /** Of all subscribers. */
  count = 0
  readonly #owner: SubscriptionsOwner
  readonly #topics = new Map<string, Topic<Prepared>>()
  /** Not by name: names come with messages, and each subscription would keep its own copy. */
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

  /** Again is as once. */
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

  /** Ends all subscriptions of one. */
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
