import { writeLog, type Log } from '../log.ts'
import { decodeEnvelope, isCloseFrame, type Envelope, type Kind } from './envelope.ts'
import type { Presence } from './presence.ts'
import type { Addressee, Group, Subscriber, Subscriptions } from './subscriptions.ts'
import { NODE, PRESENCE, TOPIC } from './topic-name.ts'

export interface RemoteMessagesOptions<Prepared> {
  /** The name of this node. */
  readonly node: string
  /** Finds the connection of an address of this node. */
  readonly find: (address: string) => Addressee<Prepared> | undefined
  readonly subscriptions: Subscriptions<Prepared>
  readonly presence: Presence
  readonly log: Log
}

/**
 * Delivers the messages of other nodes to the subscribers of this node.
 *
 * Any client of the broker may have published them, so each is checked: its envelope, whether its
 * kind is allowed on the topic, and its body.
 */
export class RemoteMessages<Prepared> {
  readonly #options: RemoteMessagesOptions<Prepared>
  #isRefusalLogged = false

  constructor (options: RemoteMessagesOptions<Prepared>) {
    this.#options = options
  }

  /** Takes a payload from the engine. False for a publication of this node. Never throws. */
  receive (topic: string, payload: Uint8Array): boolean {
    const envelope = decodeEnvelope(payload)
    if (envelope?.node === this.#options.node) return false
    if (envelope === undefined || !this.#deliver(topic, envelope)) {
      this.#refuse(
        'bytes',
        `not a valid envelope of this version, or of a kind that is not allowed on ${topic}`
      )
    }
    return true
  }

  /** Delivers an envelope. False when its kind or body is not allowed on this topic. */
  #deliver (topic: string, { kind, node, address, body }: Envelope): boolean {
    const { presence, subscriptions } = this.#options
    if (topic === PRESENCE) return kind === 'presence' && presence.receive(node, body)
    if (topic === NODE + this.#options.node) return this.#deliverToOne(kind, address, body)
    const own = topic.slice(TOPIC.length)
    if (kind === 'publish') {
      for (const [group, subscribers] of subscriptions.of(own) ?? []) {
        this.#offer(group, subscribers, { info: body, topic: own, except: address })
      }
    } else if (kind === 'broadcast') this.#broadcast(own, body, address)
    return kind === 'publish' || kind === 'broadcast'
  }

  #deliverToOne (kind: Kind, address: string, body: unknown): boolean {
    const connection = this.#options.find(address)
    if (kind === 'post') {
      if (connection !== undefined) this.#offer(connection.group, [connection], { info: body })
      return true
    }
    if (kind !== 'close' || !isCloseFrame(body)) return false
    connection?.closeSoon(body[0], body[1])
    return true
  }

  #offer (
    { checkInfo }: Group<Prepared>,
    subscribers: Iterable<Subscriber<Prepared>>,
    { info, topic = '', except = '' }: { info: unknown, topic?: string, except?: string }
  ): void {
    try {
      const checked = checkInfo === undefined ? info : checkInfo(info)
      const excluded = this.#options.find(except)
      for (const subscriber of subscribers) {
        if (subscriber !== excluded) subscriber.offer(checked, topic)
      }
    } catch (error) {
      this.#refuse('an info', error)
    }
  }

  #broadcast (topic: string, message: unknown, except: string): void {
    const { subscriptions, find } = this.#options
    try {
      subscriptions.broadcast(topic, message, find(except))
    } catch (error) {
      this.#refuse('a message', error)
    }
  }

  /** Logs only the first refusal, because a client of the broker may send many invalid messages. */
  #refuse (what: string, why: unknown): void {
    if (this.#isRefusalLogged) return
    this.#isRefusalLogged = true
    const text = `${what} from the broker was dropped; this is logged once`
    writeLog(this.#options.log, 'warn', { err: why }, text)
  }
}
