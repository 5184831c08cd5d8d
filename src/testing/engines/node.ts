import type { Engine, EngineListener } from '../../pubsub/engine.ts'
import type { EngineHarness } from './case.ts'

export interface Publication {
  readonly topic: string
  readonly payload: Uint8Array
}

const DEADLINE_MS = 20_000

/** An engine with a listener that records its calls. */
export class EngineNode implements EngineListener {
  readonly engine: Engine
  readonly received: Publication[] = []
  readonly turns: Array<'up' | 'down'> = []
  /** The reason of each `down`. */
  readonly reasons: unknown[] = []
  /** The `silentMs` of each `down`: how long the broker had been silent. */
  readonly silentMs: number[] = []
  /** The topics whose subscription the broker has ended. */
  readonly droppedTopics: string[] = []
  /** Called within `up` and `down`, after the call was recorded. */
  onTurn: (turn: 'up' | 'down') => void = () => {}
  #looks: Array<() => void> = []
  #stopped: Promise<void> | undefined

  constructor (engine: Engine) {
    this.engine = engine
  }

  /** The payloads received on one topic. */
  payloadsOn (topic: string): Uint8Array[] {
    return this.received
      .filter((publication) => publication.topic === topic)
      .map(({ payload }) => payload)
  }

  /**
   * Resolves when the condition is true. Checks it after each call of the engine. Rejects after a
   * deadline.
   */
  async until (condition: () => boolean, words: string): Promise<void> {
    if (condition()) return
    await withDeadline(words, new Promise<void>((resolve) => {
      this.#looks.push(() => { if (condition()) resolve() })
    }))
  }

  /**
   * Resolves at the first `up`. Removes a `down` before it from the record: the broker may be
   * unreachable at first.
   */
  async becomeUp (): Promise<void> {
    await this.until(() => this.turns.at(-1) === 'up', 'up')
    for (const told of [this.turns, this.reasons, this.silentMs]) told.length = 0
    this.turns.push('up')
  }

  /** Stops the engine. Idempotent. */
  async stop (): Promise<void> {
    this.#stopped ??= this.engine.stop()
    await withDeadline('stop', this.#stopped)
  }

  receive (topic: string, payload: Uint8Array): void {
    this.received.push({ topic, payload })
    this.#look()
  }

  up (): void {
    this.#turn('up')
  }

  down (reason?: unknown, silentMs = 0): void {
    this.reasons.push(reason)
    this.silentMs.push(silentMs)
    this.#turn('down')
  }

  dropped (topic: string): void {
    this.droppedTopics.push(topic)
    this.#look()
  }

  #turn (turn: 'up' | 'down'): void {
    this.turns.push(turn)
    this.onTurn(turn)
    this.#look()
  }

  #look (): void {
    for (const look of this.#looks) look()
  }
}

/** Starts `count` engines, waits until all are up, calls `run`, and stops the engines. */
export async function withNodes (
  harness: EngineHarness,
  count: number,
  run: (...nodes: EngineNode[]) => Promise<void>
): Promise<void> {
  const nodes: EngineNode[] = []
  try {
    while (nodes.length < count) nodes.push(new EngineNode(await harness.createEngine()))
    await withDeadline('start', Promise.all(nodes.map((node) => node.engine.start(node))))
    for (const node of nodes) await node.becomeUp()
    await run(...nodes)
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
  }
}

/** Settles like the promise. Rejects with the words when the promise does not settle in time. */
export async function withDeadline<T> (words: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${DEADLINE_MS} ms passed while waiting for: ${words}`)),
      DEADLINE_MS
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
