import { AsyncContext } from '../async-context.ts'
import type { GapInfo, SystemMessage, PresenceDiff } from '../connection/system-message.ts'
import { writeLog, type Log } from '../log.ts'
import type { Subscriber } from './subscriptions.ts'

/**
 * The callbacks of a subscriber without a connection. They have no mailbox and are called
 * synchronously.
 */
export interface TopicListener<in Info = unknown> {
  readonly handleInfo?: (info: Info) => void
  readonly handlePresence?: (diff: PresenceDiff) => void
  readonly handleGap?: (gap: GapInfo) => void
}

/**
 * Calls listeners one after the other.
 *
 * A publication that a listener makes in its callback is delivered after the current one has
 * reached all listeners. A listener that it subscribes does not receive the current one.
 */
export class ListenerCalls {
  #waiting: Array<() => void> = []
  #running = false

  add (call: () => void): void {
    this.#waiting.push(call)
  }

  /** Runs the waiting calls. Called by one of them, it returns at once: new calls run after it. */
  run (): void {
    if (this.#running || this.#waiting.length === 0) return
    this.#running = true
    try {
      // A call may add more calls to the array.
      for (const call of this.#waiting) call()
    } finally {
      this.#waiting = []
      this.#running = false
    }
  }
}

const LISTENERS = {}

/**
 * A listener as a subscriber of its topics.
 *
 * It ignores broadcasts, which are for sockets. Its callbacks run in the async context of its first
 * subscription, not in that of the publisher.
 */
export class Listener extends AsyncContext implements Subscriber<unknown> {
  /** Not an address, so `except` never excludes it. */
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
      // Any thenable counts, because a promise may come from another realm. A `then` getter that
      // throws is caught here, too.
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
