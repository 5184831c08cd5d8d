import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { SendQueue } from '../transport/send-queue.ts'
import type { ConnectionLimits, TopicMember } from './route-context.ts'

export interface MembershipOwner extends TopicMember {
  readonly limits: ConnectionLimits
  /** True while a callback runs. */
  readonly callbackRuns: boolean
  /** The connection has begun to end. */
  readonly ending: boolean
  slowPeer (bufferedBytes: number): void
}

/** Broadcasts that wait for the result of the running callback. */
interface Held {
  readonly topics: Set<string>
  readonly messages: PreparedMessage[]
  bytes: number
  /** Number of broadcasts refused because `maxBufferedBytes` were held already. */
  refused: number
}

/**
 * The subscriptions of one connection. Created at its first one.
 *
 * Broadcasts on a topic that the running callback has subscribed to are held until the messages of
 * its result have been sent, so that a snapshot in the result comes first.
 */
export class Membership {
  readonly #connection: MembershipOwner
  #held: Held | undefined

  constructor (connection: MembershipOwner) {
    this.#connection = connection
  }

  get heldBytes (): number { return this.#held?.bytes ?? 0 }

  subscribe (topic: string): void {
    const { ending, callbackRuns, group } = this.#connection
    if (ending) return
    group.topics.subscribe(topic, this.#connection)
    if (!callbackRuns) return
    this.#held ??= { topics: new Set(), messages: [], bytes: 0, refused: 0 }
    this.#held.topics.add(topic)
  }

  /**
   * Holds a broadcast until the running callback has returned. Returns false when it need not wait.
   */
  hold (message: PreparedMessage, topic: string): boolean {
    const held = this.#held
    if (held?.topics.has(topic) !== true) return false
    if (held.bytes >= this.#connection.limits.maxBufferedBytes) held.refused++
    else {
      held.messages.push(message)
      held.bytes += message.frame(undefined).bytes.length
    }
    return true
  }

  /** Sends the held broadcasts. Called when the result of the callback has been sent. */
  sendHeld (queue: SendQueue): void {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    for (const message of held.messages) queue.broadcast(message)
    if (held.refused === 0) return
    if (this.#connection.limits.slowPeer === 'drop') queue.drop(held.refused)
    else this.#connection.slowPeer(held.bytes)
  }

  dropHeld (): void { this.#held = undefined }
}
