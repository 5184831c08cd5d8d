import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import type { Engine, EngineListener } from '../../pubsub/engine.ts'

interface Call {
  /** The number of the engine. */
  readonly engine: number
  readonly call: number
  readonly method: 'start' | 'subscribe' | 'unsubscribe' | 'publish' | 'stop'
  readonly topic: string
  /** In base64, because JSON cannot hold bytes. */
  readonly payload: string
}

type Message = { readonly engine: number } & (
  | { readonly type: 'answer', readonly call: number, readonly error?: string }
  | { readonly type: 'receive', readonly topic: string, readonly payload: string }
  | { readonly type: 'up' }
  | { readonly type: 'down', readonly reason: string, readonly silentMs: number | undefined }
  | {
    readonly type: 'dropped'
    readonly topic: string
    readonly reason: string
    readonly silentMs: number | undefined
  }
)

let engines = 0

/**
 * An engine that runs in another process, in which `serveEngines` was called. That process can be
 * paused.
 */
export class RemoteEngine implements Engine {
  readonly name = 'remote'
  /** The minimum of every engine. The engine in the other process is not asked. */
  readonly maxPayloadBytes = 256 * 1024
  readonly #process: ChildProcess
  readonly #engine = engines++
  readonly #calls = new Map<
    number,
    { readonly resolve: () => void, readonly reject: (error: Error) => void }
  >()

  #called = 0

  constructor (process: ChildProcess) {
    this.#process = process
  }

  async start (listener: EngineListener): Promise<void> {
    const take = (message: Message): void => {
      if (message.engine === this.#engine) this.#take(message, listener)
    }
    const exit = (): void => {
      for (const { reject } of this.#calls.values()) {
        reject(new Error("the engine's process has ended"))
      }
    }
    this.#process.on('message', take).on('exit', exit)
    this.#hangUp = () => { this.#process.off('message', take).off('exit', exit) }
    await this.#call('start')
  }

  subscribe (topic: string): Promise<void> {
    return this.#call('subscribe', topic)
  }

  unsubscribe (topic: string): Promise<void> {
    return this.#call('unsubscribe', topic)
  }

  publish (topic: string, payload: Uint8Array): Promise<void> {
    return this.#call('publish', topic, Buffer.from(payload).toString('base64'))
  }

  stop (): Promise<void> {
    return this.#call('stop').finally(() => this.#hangUp())
  }

  /** Pauses the engine's process until `resume`, or until this process ends. */
  pause (): void {
    this.#process.kill('SIGSTOP')
    // A process that stays paused would never notice that this process is gone.
    process.once('exit', this.resume)
  }

  readonly resume = (): void => {
    process.off('exit', this.resume)
    this.#process.kill('SIGCONT')
  }

  #hangUp: () => void = () => {}

  #call (method: Call['method'], topic = '', payload = ''): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: Call = { engine: this.#engine, call: this.#called++, method, topic, payload }
      this.#calls.set(call.call, { resolve, reject })
      this.#process.send(call, (error) => { if (error !== null) reject(error) })
    })
  }

  #take (message: Message, listener: EngineListener): void {
    switch (message.type) {
      case 'answer': return this.#settle(message.call, message.error)
      case 'receive': return listener.receive(message.topic, Buffer.from(message.payload, 'base64'))
      case 'up': return listener.up()
      case 'down': return listener.down(message.reason, message.silentMs)
      case 'dropped': return listener.dropped(message.topic, message.reason, message.silentMs)
    }
  }

  #settle (number: number, error: string | undefined): void {
    const call = this.#calls.get(number)
    this.#calls.delete(number)
    if (error === undefined) call?.resolve()
    else call?.reject(new Error(error))
  }
}

/**
 * Lets the suite create and use engines in this process, one after the other. Call it in the file
 * that `engineProcess` of the harness is forked from. The process exits when its parent is gone.
 */
export function serveEngines (createEngine: () => Engine | Promise<Engine>): void {
  assert.ok(
    process.send !== undefined,
    'serveEngines is for a process that was started by `fork` of node:child_process'
  )
  const served = new Map<number, Engine>()
  process.on('message', (call: Call) => {
    const { engine } = call
    const answer = (error?: unknown): void =>
      tell({
        type: 'answer',
        engine,
        call: call.call,
        ...(error === undefined ? {} : { error: String(error) })
      })
    handleCall(served, call, createEngine).then(() => answer(), answer)
  })
  process.once('disconnect', () => process.exit())
}

/** Calls the engine in the turn of the message, so that the order of the calls is kept. */
async function handleCall (
  served: Map<number, Engine>,
  { engine: number, method, topic, payload }: Call,
  createEngine: () => Engine | Promise<Engine>
): Promise<void> {
  const engine = served.get(number)
  switch (method) {
    case 'start': {
      const created = await createEngine()
      served.set(number, created)
      return created.start(teller(number))
    }
    case 'subscribe': return engine?.subscribe(topic)
    case 'unsubscribe': return engine?.unsubscribe(topic)
    case 'publish': return engine?.publish(topic, Buffer.from(payload, 'base64'))
    case 'stop': return engine?.stop()
  }
}

function teller (engine: number): EngineListener {
  return {
    receive: (topic, payload) =>
      tell({ type: 'receive', engine, topic, payload: Buffer.from(payload).toString('base64') }),
    up: () => tell({ type: 'up', engine }),
    down: (reason, silentMs) => tell({ type: 'down', engine, reason: String(reason), silentMs }),
    dropped: (topic, reason, silentMs) =>
      tell({ type: 'dropped', engine, topic, reason: String(reason), silentMs })
  }
}

function tell (message: Message): void {
  process.send?.(message)
}
