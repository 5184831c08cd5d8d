import { FST_WEBSOCK_INVALID_TOPIC } from '../errors.ts'

/** Those whose messages have the same schema and codec, so that one frame serves them all. */
export interface Group<Frame> {
  /** Throws when the message cannot be sent. */
  share (message: unknown): Frame
}

/** Who may be told of a topic. None of these throws. */
export interface Subscriber<Frame> {
  readonly id: string
  readonly group: Group<Frame>
  /** Into its mailbox. */
  offer (info: unknown): boolean
  /** Straight to its socket. */
  sendShared (frame: Frame): void
}

export interface PublishOptions {
  /** The id of the one that is not told. */
  readonly except?: string | undefined
}

export const MAX_TOPIC_LENGTH = 1024

/**
 * Who wants to be told of what. What a publication costs grows with the subscribers of its topic alone.
 */
export class PubSub<Frame> {
  readonly #topics = new Map<string, Map<Group<Frame>, Set<Subscriber<Frame>>>>()
  readonly #bySubscriber = new Map<Subscriber<Frame>, Set<string>>()

  /** Again is as once. Throws FST_WEBSOCK_INVALID_TOPIC. */
  subscribe (topic: string, subscriber: Subscriber<Frame>): void {
    checkTopic(topic)
    const groups = getOrAdd(this.#topics, topic, () => new Map<Group<Frame>, Set<Subscriber<Frame>>>())
    getOrAdd(groups, subscriber.group, () => new Set()).add(subscriber)
    getOrAdd(this.#bySubscriber, subscriber, () => new Set()).add(topic)
  }

  unsubscribe (topic: string, subscriber: Subscriber<Frame>): void {
    checkTopic(topic)
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

  /** An info for the mailbox of each subscriber. */
  publish (topic: string, info: unknown, { except }: PublishOptions = {}): void {
    checkTopic(topic)
    for (const subscribers of this.#topics.get(topic)?.values() ?? []) {
      for (const subscriber of subscribers) if (subscriber.id !== except) subscriber.offer(info)
    }
  }

  /** A message for the socket of each subscriber, made once for each group. Throws, and nothing is sent, where a group cannot send it. */
  broadcast (topic: string, message: unknown, { except }: PublishOptions = {}): void {
    checkTopic(topic)
    const frames = Array.from(this.#topics.get(topic) ?? [], ([group, subscribers]) => [group.share(message), subscribers] as const)
    for (const [frame, subscribers] of frames) {
      for (const subscriber of subscribers) if (subscriber.id !== except) subscriber.sendShared(frame)
    }
  }

  #remove (topic: string, subscriber: Subscriber<Frame>): void {
    const groups = this.#topics.get(topic)
    const subscribers = groups?.get(subscriber.group)
    subscribers?.delete(subscriber)
    if (subscribers?.size === 0) groups?.delete(subscriber.group)
    if (groups?.size === 0) this.#topics.delete(topic)
  }
}

function checkTopic (topic: unknown): void {
  if (typeof topic !== 'string' || topic === '' || topic.length > MAX_TOPIC_LENGTH) {
    throw new FST_WEBSOCK_INVALID_TOPIC(MAX_TOPIC_LENGTH, typeof topic === 'string' ? `one of ${topic.length}` : typeof topic)
  }
}

function getOrAdd<K, V> (map: Map<K, V>, key: K, create: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const created = create()
  map.set(key, created)
  return created
}
