import type { GapInfo, News, PresenceDiff } from '../connection/handler.ts'
import type { BridgeLog } from './bridge.ts'
import type { Subscriber } from './subscriptions.ts'

/** Who listens to topics without being a connection: the same callbacks, without a mailbox, called at once. */
export interface TopicListener<in Info = unknown> {
  readonly handleInfo?: (info: Info) => void
  readonly handlePresence?: (diff: PresenceDiff) => void
  readonly handleGap?: (gap: GapInfo) => void
}

const LISTENERS = {}

/** A listener as one of the subscribers of its topics. Broadcasts are for sockets: they pass it by. */
export class Listener implements Subscriber<unknown> {
  /** No address: nothing leaves it out. */
  readonly id = 'listener'
  readonly group = LISTENERS
  readonly topics = new Set<string>()
  readonly #listener: TopicListener<never>
  readonly #log: BridgeLog

  constructor (listener: TopicListener<never>, log: BridgeLog) {
    this.#listener = listener
    this.#log = log
  }

  offer (info: unknown): boolean {
    this.#call(() => this.#listener.handleInfo?.(info as never))
    return true
  }

  sendShared (): void {}

  announce ({ type, info }: News): void {
    if (type === 'gap') this.#call(() => this.#listener.handleGap?.(info))
    if (type === 'presence') this.#call(() => this.#listener.handlePresence?.(info))
  }

  #call (callback: () => unknown): void {
    try {
      const result = callback()
      if (result instanceof Promise) result.catch((error: unknown) => this.#report(error))
    } catch (error) {
      this.#report(error)
    }
  }

  #report (err: unknown): void {
    this.#log.error({ err }, 'a listener of a topic failed')
  }
}
