import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { Link } from './link.ts'

const MIB = 1024 * 1024

/**
 * A broker within one process, for tests. Its engines deliver to each other in a later turn of the
 * event loop.
 *
 * `goDown` disconnects all engines, or one of them; `goUp` connects them again. Subscriptions and
 * undelivered publications are lost.
 */
export class MemoryNetwork {
  readonly #engines = new Set<MemoryEngine>()
  #isUp = true
  #waiting: Array<() => void> = []

  createEngine (): Engine {
    return new MemoryEngine({
      join: (engine) => {
        this.#engines.add(engine)
        this.#soon(() => {
          if (this.#isUp) engine.connect()
        })
      },
      disconnect: (engine) => {
        this.#engines.delete(engine)
      },
      carry: (topic, payload) => {
        // Each engine receives its own copy, as from a real broker.
        for (const engine of this.#engines) {
          if (engine.isConnected) this.#soon(() => engine.deliver(topic, payload.slice()))
        }
      },
      confirm: () => new Promise((resolve) => this.#soon(resolve))
    })
  }

  /** Disconnects all engines, or one. Idempotent. */
  goDown (engine?: Engine, reason: unknown = new Error('The memory network was taken down')): void {
    if (engine === undefined) {
      this.#isUp = false
      this.#waiting = []
    }
    for (const each of this.#engines) {
      if (engine === undefined || each === engine) each.disconnect(reason)
    }
  }

  /** Connects all engines, or one. Idempotent. */
  goUp (engine?: Engine): void {
    if (engine === undefined) this.#isUp = true
    if (!this.#isUp) return
    for (const each of this.#engines) if (engine === undefined || each === engine) each.connect()
  }

  /**
   * Runs a task in the next turn of the event loop, in the order of the calls. The task is dropped
   * if the whole network goes down before.
   */
  #soon (task: () => void): void {
    if (this.#waiting.push(task) > 1) return
    setImmediate(() => {
      const tasks = this.#waiting
      this.#waiting = []
      for (const task of tasks) task()
    })
  }
}

interface Network {
  join (engine: MemoryEngine): void
  disconnect (engine: MemoryEngine): void
  carry (topic: string, payload: Uint8Array): void
  confirm (): Promise<void>
}

class MemoryEngine implements Engine {
  readonly name = 'memory'
  readonly maxPayloadBytes = MIB
  readonly #link = new Link('memory')
  readonly #network: Network
  #topics = new Set<string>()

  constructor (network: Network) {
    this.#network = network
  }

  get isConnected (): boolean {
    return this.#link.isUp
  }

  async start (listener: EngineListener): Promise<void> {
    this.#link.start(listener)
    this.#network.join(this)
  }

  async subscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      this.#topics.add(topic)
      await this.#network.confirm()
    })
  }

  async unsubscribe (topic: string): Promise<void> {
    await this.#link.call(async () => { this.#topics.delete(topic) })
  }

  async publish (topic: string, payload: Uint8Array): Promise<void> {
    await this.#link.call(async () => {
      this.#network.carry(topic, payload)
      await this.#network.confirm()
    })
  }

  async stop (): Promise<void> {
    this.#link.stop()
    this.#network.disconnect(this)
  }

  connect (): void {
    this.#link.up()
  }

  disconnect (reason: unknown): void {
    this.#topics = new Set()
    this.#link.down(reason)
  }

  deliver (topic: string, payload: Uint8Array): void {
    if (this.#topics.has(topic)) this.#link.receive(topic, payload)
  }
}
