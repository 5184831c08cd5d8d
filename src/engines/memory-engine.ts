import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { Link } from './link.ts'

const MIB = 1024 * 1024

/**
 * A broker in this process, for tests: its engines deliver to each other, in a later turn of the
 * event loop. It can be taken down, for all or for one, and up again; what is on its way then is
 * lost, and so are the subscriptions.
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
        // Each sees bytes of its own, as if they had come from elsewhere.
        for (const engine of this.#engines) {
          if (engine.isConnected) this.#soon(() => engine.deliver(topic, payload.slice()))
        }
      },
      confirm: () => new Promise((resolve) => this.#soon(resolve))
    })
  }

  /** Ends the connections of all engines, or of one, as a broken cable does. Idempotent. */
  goDown (engine?: Engine, reason: unknown = new Error('The memory network was taken down')): void {
    if (engine === undefined) {
      this.#isUp = false
      this.#waiting = []
    }
    for (const each of this.#engines) {
      if (engine === undefined || each === engine) each.disconnect(reason)
    }
  }

  /** Idempotent. */
  goUp (engine?: Engine): void {
    if (engine === undefined) this.#isUp = true
    if (!this.#isUp) return
    for (const each of this.#engines) if (engine === undefined || each === engine) each.connect()
  }

  /**
   * In the next turn of the event loop, in the order in which it was asked for, unless the network
   * goes down before.
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
