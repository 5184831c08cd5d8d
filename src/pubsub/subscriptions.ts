import type { News } from '../connection/handler.ts'

/** What broadcasts are made into: one message, or many behind each other. */
export interface Batch<Frames> {
  /** Bytes. */
  readonly length: number
  and (next: Frames): Frames
}

/** Those whose messages have the same schema and codec, so that one frame serves them all. */
export interface Group<Frames> {
  /** Throws when the message cannot be sent. Without it, broadcasts pass these by. */
  readonly share?: (message: unknown) => Frames
  /** Gives an info from another node as it is to be handed on; throws when it does not match their schema. */
  readonly checkInfo?: ((info: unknown) => unknown) | undefined
}

/** Who may be told of a topic. None of these throws. */
export interface Subscriber<Frames> {
  readonly id: string
  readonly group: Group<Frames>
  /** Into its mailbox. */
  offer (info: unknown, topic: string): boolean
  /** Straight to its socket. `more`: others may come in this tick. */
  sendShared (frames: Frames, more: boolean): void
  /** What the library itself has to tell. */
  announce (news: News): unknown
}

export interface SubscriptionsOwner {
  /** A topic has its first subscriber. */
  topicOpened (topic: string): void
  /** A topic has no subscriber any more. */
  topicClosed (topic: string): void
}

type Groups<Frames> = Map<Group<Frames>, Set<Subscriber<Frames>>>

interface Topic<Frames> {
  readonly name: string
  readonly groups: Groups<Frames>
}

/**
 * Who in this process wants to be told of what. What telling costs grows with the subscribers of that topic alone.
 */
export class Subscriptions<Frames> {
  readonly #owner: SubscriptionsOwner
  readonly #topics = new Map<string, Topic<Frames>>()
  /** Not by name: names come with messages, and each subscription would keep its own copy. */
  readonly #bySubscriber = new Map<Subscriber<Frames>, Set<Topic<Frames>>>()

  constructor (owner: SubscriptionsOwner) {
    this.#owner = owner
  }

  isSubscribed (subscriber: Subscriber<Frames>): boolean {
    return this.#bySubscriber.has(subscriber)
  }

  has (name: string, subscriber: Subscriber<Frames>): boolean {
    return this.#topics.get(name)?.groups.get(subscriber.group)?.has(subscriber) === true
  }

  * topicsOf (subscriber: Subscriber<Frames>): Iterable<string> {
    for (const { name } of this.#bySubscriber.get(subscriber) ?? []) yield name
  }

  /** The subscribers of a topic, by group. */
  of (name: string): Groups<Frames> | undefined {
    return this.#topics.get(name)?.groups
  }

  /** Again is as once. */
  add (name: string, subscriber: Subscriber<Frames>): void {
    const known = this.#topics.has(name)
    const topic = getOrAdd(this.#topics, name, (): Topic<Frames> => ({ name, groups: new Map() }))
    getOrAdd(topic.groups, subscriber.group, () => new Set()).add(subscriber)
    getOrAdd(this.#bySubscriber, subscriber, () => new Set()).add(topic)
    if (!known) this.#owner.topicOpened(name)
  }

  delete (name: string, subscriber: Subscriber<Frames>): void {
    const topic = this.#topics.get(name)
    const topics = this.#bySubscriber.get(subscriber)
    if (topic === undefined || topics?.delete(topic) !== true) return
    if (topics.size === 0) this.#bySubscriber.delete(subscriber)
    this.#remove(topic, subscriber)
  }

  /** Ends all subscriptions of one. */
  leave (subscriber: Subscriber<Frames>): void {
    const topics = this.#bySubscriber.get(subscriber)
    if (topics === undefined) return
    this.#bySubscriber.delete(subscriber)
    for (const topic of topics) this.#remove(topic, subscriber)
  }

  #remove ({ name, groups }: Topic<Frames>, subscriber: Subscriber<Frames>): void {
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
