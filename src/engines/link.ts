import { FST_WEBSOCK_ENGINE_DOWN, FST_WEBSOCK_ENGINE_IN_USE } from '../errors.ts'
import type { EngineListener } from '../pubsub/engine.ts'

/**
 * An engine's view of its broker: `up` and `down` in turns, and no call that outlives the
 * connection that it was made on.
 *
 * A client may leave promises open when its connection ends, or send late what it still has. Here
 * they reject at once.
 */
export class Link {
  readonly #name: string
  readonly #calls = new Set<(reason: Error) => void>()
  #listener: EngineListener | undefined
  #wasStarted = false
  #isUp = false
  #hasTold = false
  /** When the last probe was sent that the broker has answered, in ms of `performance.now()`. */
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
    this.#isUp = this.#hasTold = true
    this.proved(performance.now())
    this.#listener.up()
  }

  /**
   * Rejects the calls that are under way. Idempotent.
   * Before the first `up` it needs a reason, such as a wrong password, which is for the log.
   */
  down (reason?: unknown): void {
    if (!this.#isUp && (this.#hasTold || reason === undefined)) return
    const silentMs = this.#isUp ? this.#silentMs : 0
    this.#isUp = false
    this.#hasTold = true
    this.#rejectAll('has lost its broker', reason)
    this.#listener?.down(reason, silentMs)
  }

  /** The broker has ended one subscription. */
  dropped (topic: string, reason: unknown): void {
    if (this.#isUp) this.#listener?.dropped(topic, reason, this.#silentMs)
  }

  /**
   * The broker has answered a probe that was sent at that time: what was published before has
   * arrived.
   */
  proved (sentAt: number): void {
    this.#provedAt = sentAt
  }

  /** From here on the listener is not called. Rejects the calls that are under way. */
  stop (): void {
    this.#isUp = false
    this.#listener = undefined
    this.#rejectAll('was stopped')
  }

  receive (topic: string, payload: Uint8Array): void {
    this.#listener?.receive(topic, payload)
  }

  /**
   * The result of the task. Rejects with FST_WEBSOCK_ENGINE_DOWN when the link is down, or goes
   * down before the task settles.
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
