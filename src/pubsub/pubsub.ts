import type { PresenceDiff, PresenceEntry } from '../connection/system-message.ts'
import { FST_WEBSOCK_UNSENDABLE } from '../errors.ts'
import { writeLog, type Log, type LogTarget } from '../log.ts'
import type { TopicStats } from '../telemetry/stats.ts'
import { Bridge, type BridgeOwner } from './bridge.ts'
import type { Engine } from './engine.ts'
import { encodeEnvelope, isAddress, nodeOf, type Kind } from './envelope.ts'
import { Gaps } from './gaps.ts'
import { Listener, ListenerCalls, type TopicListener } from './listener.ts'
import { Presence, type PresenceOwner } from './presence.ts'
import type { PresenceMessage } from './presence-message.ts'
import { Readiness } from './readiness.ts'
import { RemoteMessages } from './remote-messages.ts'
import {
  Subscriptions,
  type Addressee,
  type Subscriber,
  type SubscriptionsOwner
} from './subscriptions.ts'
import { checkTopicName, NODE, PRESENCE, TOPIC } from './topic-name.ts'

export interface PubSubOptions<Prepared> {
  /** The name of this node: the part before the dot in its addresses. */
  readonly node: string
  /** Finds the connection of an address of this node. */
  readonly find: (address: string) => Addressee<Prepared> | undefined
  readonly engine: Engine | undefined
  readonly log: LogTarget
}

export interface PublishOptions {
  /** The address of the subscriber to leave out. */
  readonly except?: string | undefined
}

/**
 * Topics and presence. Delivers publications to the subscribers of this node synchronously, and to
 * other nodes through the engine.
 */
export class PubSub<Prepared> implements SubscriptionsOwner, BridgeOwner, PresenceOwner {
  readonly node: string
  readonly #find: PubSubOptions<Prepared>['find']
  readonly #log: Log
  readonly #subscriptions = new Subscriptions<Prepared>(this)
  readonly #listeners = new Map<TopicListener<never>, Listener>()
  readonly #calls = new ListenerCalls()
  readonly #presence: Presence
  readonly #gaps = new Gaps<Subscriber<Prepared>>((subscriber) => this.#isBehind(subscriber))
  readonly #readiness = new Readiness<Subscriber<Prepared> | undefined>()
  readonly #bridge: Bridge | undefined
  readonly #remote: RemoteMessages<Prepared>
  #stopPresence: (() => void) | undefined
  #isIncompleteLogged = false

  constructor ({ node, find, engine, log }: PubSubOptions<Prepared>) {
    this.node = node
    this.#find = find
    this.#log = () => log
    this.#presence = new Presence(this)
    this.#remote = new RemoteMessages({
      node,
      find,
      subscriptions: this.#subscriptions,
      presence: this.#presence,
      log: this.#log
    })
    this.#bridge = engine === undefined ? undefined : new Bridge(engine, this, this.#log)
  }

  async start (): Promise<void> {
    if (this.#bridge === undefined) return
    this.#bridge.want(PRESENCE)
    this.#bridge.want(NODE + this.node)
    this.#stopPresence = this.#presence.start()
    await this.#bridge.start()
  }

  async stop (): Promise<void> {
    this.#readiness.stop()
    this.#stopPresence?.()
    await this.#bridge?.stop()
  }

  /** True when the engine is connected and all topics are subscribed; always true without one. */
  get ready (): boolean { return this.#bridge?.ready ?? true }

  stats (): TopicStats {
    const { topics, count: subscriptions } = this.#subscriptions
    const engine = this.#bridge?.stats()
    return { topics, subscriptions, presence: this.#presence.stats(), engine }
  }

  /** Idempotent. Throws FST_WEBSOCK_INVALID_TOPIC. */
  subscribe (topic: string, subscriber: Subscriber<Prepared>): void {
    checkTopicName(topic)
    this.#subscriptions.add(topic, subscriber)
  }

  unsubscribe (topic: string, subscriber: Subscriber<Prepared>): void {
    checkTopicName(topic)
    this.#subscriptions.delete(topic, subscriber)
    this.#handleUnsubscribe(subscriber, topic)
  }

  /**
   * Resolves with true when publications of other nodes on this topic arrive here. Resolves with
   * false when this node has no subscription, or it ends before: that of the given subscriber, or
   * else the last one of the topic. Throws FST_WEBSOCK_INVALID_TOPIC.
   */
  async subscriptionReady (topic: string, subscriber?: Subscriber<Prepared>): Promise<boolean> {
    checkTopicName(topic)
    const isSubscribed =
      subscriber === undefined
        ? this.#subscriptions.of(topic) !== undefined
        : this.#subscriptions.has(topic, subscriber)
    if (!isSubscribed) return false
    if (this.#bridge === undefined || this.#bridge.isSubscribed(TOPIC + topic)) return true
    return this.#readiness.wait(topic, subscriber)
  }

  /** Subscribes a listener. Idempotent. */
  listen (topic: string, listener: TopicListener<never>): void {
    checkTopicName(topic)
    let known = this.#listeners.get(listener)
    if (known === undefined) {
      this.#listeners.set(listener, (known = new Listener(listener, this.#calls, this.#log)))
    }
    known.topics.add(topic)
    this.#subscriptions.add(topic, known)
  }

  unlisten (topic: string, listener: TopicListener<never>): void {
    checkTopicName(topic)
    const known = this.#listeners.get(listener)
    if (known === undefined) return
    known.topics.delete(topic)
    if (known.topics.size === 0) this.#listeners.delete(listener)
    this.#subscriptions.delete(topic, known)
    this.#handleUnsubscribe(known, topic)
  }

  /** Throws FST_WEBSOCK_INVALID_TOPIC or FST_WEBSOCK_UNTRACKABLE. */
  track (
    topic: string,
    key: string,
    meta: unknown,
    address = `${this.node}.0`,
    maxBytes = Infinity
  ): void {
    checkTopicName(topic)
    this.#presence.track(topic, key, meta, address, maxBytes)
  }

  untrack (topic: string, key: string, address = `${this.node}.0`): void {
    this.#presence.untrack(topic, key, address)
  }

  presence (topic: string): PresenceEntry[] {
    checkTopicName(topic)
    return this.#presence.of(topic)
  }

  /** Ends all subscriptions of a subscriber, and removes its presence entries. */
  unsubscribeAll (subscriber: Subscriber<Prepared>): void {
    this.#subscriptions.deleteAll(subscriber)
    this.#handleUnsubscribe(subscriber)
    this.#presence.untrackAll(subscriber.id)
  }

  /**
   * Puts an info into the mailbox of each subscriber. Throws, and sends nothing, when the info
   * cannot be encoded for other nodes.
   */
  publish (topic: string, info: unknown, { except = '' }: PublishOptions = {}): void {
    checkTopicName(topic)
    const envelope = this.#encode('publish', info, except)
    this.#subscriptions.offer(topic, info, this.#find(except))
    if (envelope !== undefined) this.#bridge?.send(TOPIC + topic, envelope, false)
    this.#calls.run()
  }

  /**
   * Sends a message to the client of each subscriber; it is encoded once per group. Throws, and
   * sends nothing, when a group of this node or the envelope cannot encode it.
   */
  broadcast (topic: string, message: unknown, { except = '' }: PublishOptions = {}): void {
    checkTopicName(topic)
    const envelope = this.#encode('broadcast', message, except)
    this.#subscriptions.broadcast(topic, message, this.#find(except))
    if (envelope !== undefined) this.#bridge?.send(TOPIC + topic, envelope, false)
  }

  /**
   * Posts an info to one connection. False when the connection does not take it, or it cannot leave
   * this node. Throws when the info cannot be encoded for other nodes.
   */
  post (address: string, info: unknown): boolean {
    if (!this.#isElsewhere(address)) return this.#find(address)?.offer(info, '') ?? false
    return this.#sendToNode(address, 'post', info)
  }

  /**
   * Ends one connection. False when it has ended already, or when the request cannot leave this
   * node. The caller has checked the code and the reason.
   */
  close (address: string, code: number, reason: string): boolean {
    if (this.#isElsewhere(address)) return this.#sendToNode(address, 'close', [code, reason])
    const connection = this.#find(address)
    connection?.closeSoon(code, reason)
    return connection !== undefined
  }

  topicOpened (topic: string): void { this.#bridge?.want(TOPIC + topic) }
  topicClosed (topic: string): void {
    this.#bridge?.drop(TOPIC + topic)
    this.#readiness.resolve(topic, false)
  }

  sendToNodes (message: PresenceMessage): void {
    try {
      const envelope = this.#encode('presence', message, '')
      if (envelope !== undefined) this.#bridge?.send(PRESENCE, envelope, true)
    } catch (error) {
      // The broker may have returned with a smaller limit.
      writeLog(this.#log, 'error', { err: error }, 'presence cannot be sent to other nodes')
    }
  }

  presenceChanged (diff: PresenceDiff): void {
    for (const subscribers of this.#subscriptions.of(diff.topic)?.values() ?? []) {
      for (const subscriber of subscribers) subscriber.notify({ type: 'presence', info: diff })
    }
    this.#calls.run()
  }

  get hasEngine (): boolean { return this.#bridge !== undefined }

  presenceIncomplete (): void {
    if (this.#isIncompleteLogged) return
    this.#isIncompleteLogged = true
    writeLog(
      this.#log,
      'warn',
      {},
      'presence of other nodes exceeds the limit: entries are missing here; this is logged once'
    )
  }

  up (): void { this.#presence.greet() }

  subscribed (topic: string): void {
    if (topic.startsWith(TOPIC)) this.#readiness.resolve(topic.slice(TOPIC.length), true)
  }

  restored (topics: ReadonlyMap<string, number>): void {
    for (const [topic, since] of topics) {
      if (!topic.startsWith(TOPIC)) continue
      for (const subscribers of this.#subscriptions.of(topic.slice(TOPIC.length))?.values() ?? []) {
        for (const subscriber of subscribers) this.#gaps.add(subscriber, since)
      }
    }
    this.#gaps.notify()
    this.#calls.run()
  }

  /** Handles the end of one subscription, or of all: a wait for a topic or a gap may be over. */
  #handleUnsubscribe (subscriber: Subscriber<Prepared>, topic?: string): void {
    this.#readiness.cancel(subscriber, topic)
    if (!this.#subscriptions.isSubscribed(subscriber)) this.#gaps.delete(subscriber)
    else if (this.#gaps.has(subscriber)) this.#gaps.notifySoon()
  }

  #isBehind (subscriber: Subscriber<Prepared>): boolean {
    for (const topic of this.#subscriptions.topicsOf(subscriber)) {
      if (this.#bridge?.isSubscribed(TOPIC + topic) !== true) return true
    }
    return false
  }

  received (topic: string, payload: Uint8Array): void {
    if (this.#remote.receive(topic, payload)) this.#calls.run()
  }

  #isElsewhere (address: string): boolean {
    return this.#bridge !== undefined && nodeOf(address) !== this.node && isAddress(address)
  }

  #sendToNode (address: string, kind: 'post' | 'close', body: unknown): boolean {
    const envelope = this.#encode(kind, body, address)
    const topic = NODE + nodeOf(address)
    return envelope !== undefined && this.#bridge?.send(topic, envelope, false) === true
  }

  #encode (kind: Kind, body: unknown, address: string): Buffer | undefined {
    if (this.#bridge === undefined) return undefined
    const envelope = encodeEnvelope({ kind, node: this.node, address, body })
    const max = this.#bridge.maxPayloadBytes
    if (envelope.length <= max) return envelope
    const text = `it has ${envelope.length} bytes, and the engine carries at most ${max}`
    throw new FST_WEBSOCK_UNSENDABLE(text)
  }
}
