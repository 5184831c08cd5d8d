import type { News } from '../connection/handler.ts'

/** Those whose messages have the same schema and codec, so that one frame serves them all. */
export interface Group<Frame> {
  /** Throws when the message cannot be sent. Without it, broadcasts pass these by. */
  readonly share?: (message: unknown) => Frame
  /** Gives an info from another node as it is to be handed on; throws when it does not match their schema. */
  readonly checkInfo?: ((info: unknown) => unknown) | undefined
}

/** Who may be told of a topic. None of these throws. */
export interface Subscriber<Frame> {
  readonly id: string
  readonly group: Group<Frame>
  /** Into its mailbox. */
  offer (info: unknown): boolean
  /** Straight to its socket. */
  sendShared (frame: Frame): void
  /** What the library itself has to tell. */
  announce (news: News): unknown
}

export interface SubscriptionsOwner {
  /** A topic has its first subscriber. */
  topicOpened (topic: string): void
  /** A topic has no subscriber any more. */
  topicClosed (topic: string): void
}

type Groups<Frame> = Map<Group<Frame>, Set<Subscriber<Frame>>>

/**
 * Who in this process wants to be told of what. What telling costs grows with the subscribers of that topic alone.
 */
export class Subscriptions<Frame> {
  readonly #owner: SubscriptionsOwner
  readonly #topics = new Map<string, Groups<Frame>>()
  readonly #bySubscriber = new Map<Subscriber<Frame>, Set<string>>()

  constructor (owner: SubscriptionsOwner) {
    this.#owner = owner
  }

  /** Each of them, once. */
  all (): Iterable<Subscriber<Frame>> {
    return this.#bySubscriber.keys()
  }

  /** The subscribers of a topic, by group. */
  of (topic: string): Groups<Frame> | undefined {
    return this.#topics.get(topic)
  }

  /** Again is as once. */
  add (topic: string, subscriber: Subscriber<Frame>): void {
    const known = this.#topics.has(topic)
    const groups = getOrAdd(this.#topics, topic, (): Groups<Frame> => new Map())
    getOrAdd(groups, subscriber.group, () => new Set()).add(subscriber)
    getOrAdd(this.#bySubscriber, subscriber, () => new Set()).add(topic)
    if (!known) this.#owner.topicOpened(topic)
  }

  delete (topic: string, subscriber: Subscriber<Frame>): void {
    const topics = this.#bySubscriber.get(subscriber)
    if (topics?.delete(topic) !== true) return
    if (topics.size === 0) this.#bySubscriber.delete(subscriber)
    this.#remove(topic, subscriber)
  }

  /** Ends all subscriptions of one. */
  leave (subscriber: Subscriber<Frame>): void {
    const topics = this.#bySubscriber.get(subscriber)
    if (topics === undefined) return
    this.#bySubscriber.delete(subscriber)
    for (const topic of topics) this.#remove(topic, subscriber)
  }

  #remove (topic: string, subscriber: Subscriber<Frame>): void {
    const groups = this.#topics.get(topic)
    const subscribers = groups?.get(subscriber.group)
    subscribers?.delete(subscriber)
    if (subscribers?.size === 0) groups?.delete(subscriber.group)
    if (groups?.size !== 0) return
    this.#topics.delete(topic)
    this.#owner.topicClosed(topic)
  }
}

export function getOrAdd<K, V> (map: Map<K, V>, key: K, create: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const created = create()
  map.set(key, created)
  return created
}
