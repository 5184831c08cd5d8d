import type { PreparedMessage } from '../transport/prepared-message.ts'

/**
 * The broadcasts on topics that the running callback has subscribed to. They wait until the messages of
 * its result have been sent, so that a snapshot in the result comes first.
 */
export class HeldBroadcasts {
  readonly messages: PreparedMessage[] = []
  bytes = 0
  /** Broadcasts that found `maxBufferedBytes` held. */
  refused = 0
  readonly #topics = new Set<string>()
  readonly #maxBytes: number

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  hold (topic: string): void { this.#topics.add(topic) }
  holds (topic: string): boolean { return this.#topics.has(topic) }

  add (message: PreparedMessage): void {
    if (this.bytes >= this.#maxBytes) this.refused++
    else {
      this.messages.push(message)
      this.bytes += message.frame(undefined).bytes.length
    }
  }
}
