import { FST_WEBSOCK_ENGINE_DOWN, FST_WEBSOCK_ENGINE_IN_USE } from '../errors.ts'
import type { EngineListener } from '../pubsub/engine.ts'

/**
 * The state of an engine's connection to its broker. Calls `up` and `down` of the listener
 * alternately, and rejects unfinished calls when the connection is lost.
 *
 * A client may leave promises open when its connection ends, or send commands later. A call through
 * `Link` rejects at once instead.
 */
export class Link {
  readonly #name: string
  readonly #calls = new Set<(reason: Error) => void>()
  #listener: EngineListener | undefined
  #wasStarted = false
  #isUp = false
  #hasNotified = false
  /** When the last answered probe was sent, in ms of `performance.now()`. */
  #provedAt = 0

  constructor (name: string) {
    this.#name = name
  }

  get isUp (): boolean {
    return this.#isUp
  }

  /** Throws FST_WEBSOCK_ENGINE_IN_USE when it is called a second time. */
  start (listener: EngineListener): void {
    if (this.#wasStarted) throw new FST_WEBSOCK_ENGINE_IN_USE(this.#name)
    this.#wasStarted = true
    this.#listener = listener
  }

  /** Idempotent. */
  up (): void {
    if (this.#isUp || this.#listener === undefined) return
    this.#isUp = this.#hasNotified = true
    this.proved(performance.now())
    this.#listener.up()
  }

  /**
   * Rejects the unfinished calls and calls `down` of the listener. Idempotent.
   *
   * Before the first `up`, the listener is called only if there is a reason to log, such as a wrong
   * password.
   */
  down (reason?: unknown): void {
    if (!this.#isUp && (this.#hasNotified || reason === undefined)) return
    const silentMs = this.#isUp ? this.#silentMs : 0
    this.#isUp = false
    this.#hasNotified = true
    this.#rejectAll('has lost its broker', reason)
    this.#listener?.down(reason, silentMs)
  }

  /** Reports that the broker has ended one subscription. */
  dropped (topic: string, reason: unknown): void {
    if (this.#isUp) this.#listener?.dropped(topic, reason, this.#silentMs)
  }

  /**
   * Records that the broker has answered a probe sent at that time. Publications made before it
   * have arrived.
   */
  proved (sentAt: number): void {
    this.#provedAt = sentAt
  }

  /** Stops calling the listener, and rejects the unfinished calls. */
  stop (): void {
    this.#isUp = false
    this.#listener = undefined
    this.#rejectAll('was stopped')
  }

  receive (topic: string, payload: Uint8Array): void {
    this.#listener?.receive(topic, payload)
  }

  /**
   * Runs a task and returns its result. Rejects with FST_WEBSOCK_ENGINE_DOWN when the link is down,
   * or goes down before the task settles.
   */
  async call<T> (task: () => Promise<T>): Promise<T> {
    if (!this.#isUp) throw new FST_WEBSOCK_ENGINE_DOWN(this.#name, 'is not connected to its broker')
    return new Promise<T>((resolve, reject) => {
      this.#calls.add(reject)
      const settle = <V>(how: (value: V) => void) => (value: V): void => {
        this.#calls.delete(reject)
        how(value)
      }
      task().then(settle(resolve), settle(reject))
    })
  }

  get #silentMs (): number {
    return Math.ceil(performance.now() - this.#provedAt)
  }

  #rejectAll (what: string, cause?: unknown): void {
    const calls = [...this.#calls]
    this.#calls.clear()
    if (calls.length === 0) return
    const error = new FST_WEBSOCK_ENGINE_DOWN(
      this.#name,
      what,
      ...(cause === undefined ? [] : [{ cause }])
    )
    for (const reject of calls) reject(error)
  }
}
