import { AsyncContext } from '../async-context.ts'
import type { GapInfo, SystemMessage, PresenceDiff } from '../connection/system-message.ts'
import { writeLog, type Log } from '../log.ts'
import type { Subscriber } from './subscriptions.ts'

/**
 * Who listens to topics without being a connection: the same callbacks, without a mailbox, called
 * at once.
 */
export interface TopicListener<in Info = unknown> {
  readonly handleInfo?: (info: Info) => void
  readonly handlePresence?: (diff: PresenceDiff) => void
  readonly handleGap?: (gap: GapInfo) => void
}

/**
 * Calls of listeners, one after the other. What a listener publishes in its call comes to all after
 * what it was called for, and whom it subscribes is not among those that are being told.
 */
export class ListenerCalls {
  #waiting: Array<() => void> = []
  #running = false

  add (call: () => void): void {
    this.#waiting.push(call)
  }

  /** Within one of them: nothing, they come after it. */
  run (): void {
    if (this.#running || this.#waiting.length === 0) return
    this.#running = true
    try {
      // It may grow meanwhile.
      for (const call of this.#waiting) call()
    } finally {
      this.#waiting = []
      this.#running = false
    }
  }
}

const LISTENERS = {}

/**
 * A listener as one of the subscribers of its topics. Broadcasts are for sockets: they pass it by.
 * It is called in the async context of its first subscription, and not in the publisher's.
 */
export class Listener extends AsyncContext implements Subscriber<unknown> {
  /** No address: nothing leaves it out. */
  readonly id = 'listener'
  readonly group = LISTENERS
  readonly topics = new Set<string>()
  readonly #listener: TopicListener<never>
  readonly #calls: ListenerCalls
  readonly #log: Log

  constructor (listener: TopicListener<never>, calls: ListenerCalls, log: Log) {
    super()
    this.#listener = listener
    this.#calls = calls
    this.#log = log
  }

  offer (info: unknown, topic: string): boolean {
    this.#calls.add(() => {
      if (this.topics.has(topic)) this.#call(() => this.#listener.handleInfo?.(info as never))
    })
    return true
  }

  broadcast (): void {}

  notify ({ type, info }: SystemMessage): void {
    if (type === 'gap') {
      this.#calls.add(() => {
        if (this.topics.size > 0) this.#call(() => this.#listener.handleGap?.(info))
      })
    }
    if (type === 'presence') {
      this.#calls.add(() => {
        if (this.topics.has(info.topic)) this.#call(() => this.#listener.handlePresence?.(info))
      })
    }
  }

  /** Never throws. */
  #call (callback: () => unknown): void {
    try {
      // Also what is no promise of this realm: a `then` that throws is caught here, too.
      const result = this.enter(callback, undefined, undefined) as { then?: unknown } | undefined
      if (typeof result === 'object' && result !== null && typeof result.then === 'function') {
        Promise.resolve(result).catch((error: unknown) => this.#report(error))
      }
    } catch (error) {
      this.#report(error)
    }
  }

  #report (err: unknown): void {
    writeLog(this.#log, 'error', { err }, 'a listener of a topic failed')
  }
}
