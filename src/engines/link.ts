import { FST_WEBSOCK_ENGINE_DOWN } from '../errors.ts'
import type { EngineListener } from '../pubsub/engine.ts'

/**
 * An engine's way to its broker: up and down in turns, and no call that outlives it. A client may leave promises open when
 * its connection ends, or send late what it still has; here they reject at once.
 */
export class Link {
  readonly #name: string
  readonly #calls = new Set<(reason: Error) => void>()
  #listener: EngineListener | undefined
  #isUp = false
  #hasTold = false

  constructor (name: string) {
    this.#name = name
  }

  get isUp (): boolean {
    return this.#isUp
  }

  start (listener: EngineListener): void {
    this.#listener = listener
  }

  /** Again is as once. */
  up (): void {
    if (this.#isUp || this.#listener === undefined) return
    this.#isUp = this.#hasTold = true
    this.#listener.up()
  }

  /** Again is as once; before the first `up` only with a reason, so that a wrong password is seen. Rejects the calls that are under way. */
  down (reason?: unknown): void {
    if (!this.#isUp && (this.#hasTold || reason === undefined)) return
    this.#isUp = false
    this.#hasTold = true
    this.#rejectAll('has lost its broker', reason)
    this.#listener?.down(reason)
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

  /** What the task comes to. Rejects with FST_WEBSOCK_ENGINE_DOWN when the link is down, or ends before the task. */
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

  #rejectAll (what: string, cause?: unknown): void {
    const calls = [...this.#calls]
    this.#calls.clear()
    if (calls.length === 0) return
    const error = new FST_WEBSOCK_ENGINE_DOWN(this.#name, what, ...(cause === undefined ? [] : [{ cause }]))
    for (const reject of calls) reject(error)
  }
}
