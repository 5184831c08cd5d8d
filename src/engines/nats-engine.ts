import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { FST_WEBSOCK_INVALID_CLIENT } from '../errors.ts'
import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { checkEngineOptions } from './engine-options.ts'
import { Link } from './link.ts'

/** Of a connection of `@nats-io/transport-node` 3, what is used here. */
export interface NatsConnection {
  /** Undefined while it is not connected. */
  readonly info?: { readonly max_payload: number } | undefined
  publish (subject: string, payload: Uint8Array): void
  subscribe (subject: string, options: { callback (error: Error | null, message: { readonly data: Uint8Array }): void }): NatsSubscription
  flush (): Promise<void>
  status (): NatsStatuses
}

export interface NatsSubscription {
  unsubscribe (): void
}

export interface NatsStatuses extends AsyncIterable<NatsStatus> {
  stop? (): void
}

export interface NatsStatus {
  readonly type: string
  readonly error?: Error
}

export interface NatsEngineOptions {
  /** The first tokens of all subjects, at most 128 letters, digits, `-`, `_` with dots between. The same on all nodes. Default `websock`. */
  readonly prefix?: string
}

const MIB = 1024 * 1024
// A server takes lines of 4 096 bytes (`max_control_line`), in which there is more than the subject.
const MAX_SUBJECT_LENGTH = 1024
const RULES = {
  prefix: (value: unknown) => typeof value === 'string' && value.length <= 128 && /^[\w-]+(\.[\w-]+)*$/.test(value)
    ? undefined
    : 'a string of at most 128 letters, digits, "-", "_" and dots between them'
}

/**
 * An engine over NATS, by a connection of `@nats-io/transport-node`, which stays the user's: it is not closed, and how long
 * it tries to connect again is as it was told (`maxReconnectAttempts`, by default 10: -1 is for ever).
 * Throws FST_WEBSOCK_INVALID_CLIENT, _INVALID_OPTION, _UNKNOWN_OPTION.
 */
export function natsEngine (connection: NatsConnection, options: NatsEngineOptions = {}): Engine {
  const { prefix = 'websock' } = checkEngineOptions<NatsEngineOptions>(options, RULES, 'natsEngine')
  const { publish, subscribe, flush, status } = (connection ?? {}) as Partial<NatsConnection>
  if (![publish, subscribe, flush, status].every((method) => typeof method === 'function')) {
    throw new FST_WEBSOCK_INVALID_CLIENT('natsEngine', 'a connection of `@nats-io/transport-node`', inspect(connection, { depth: 0 }).slice(0, 80))
  }
  return new NatsEngine(connection, prefix)
}

class NatsEngine implements Engine {
  readonly name = 'nats'
  readonly #link = new Link('nats')
  readonly #connection: NatsConnection
  readonly #prefix: string
  readonly #subscriptions = new Map<string, NatsSubscription>()
  #statuses: NatsStatuses | undefined
  #maxPayloadBytes = MIB
  #confirmation: Promise<ReadonlyMap<string, Error>> | undefined
  /** By subject, what the server did not permit since the last confirmation. */
  #refusals = new Map<string, Error>()

  constructor (connection: NatsConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
  }

  /** As the server says; until it has, its default. */
  get maxPayloadBytes (): number {
    this.#maxPayloadBytes = this.#connection.info?.max_payload ?? this.#maxPayloadBytes
    return this.#maxPayloadBytes
  }

  async start (listener: EngineListener): Promise<void> {
    this.#link.start(listener)
    this.#statuses = this.#connection.status()
    void this.#watch(this.#statuses)
    // No property tells whether it is connected now. Where it is not, this rejects, and `reconnect` will tell.
    this.#connection.flush().then(() => this.#link.up(), () => {})
  }

  async subscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      if (this.#subscriptions.has(topic)) return
      let refusal: Error | undefined
      const subscription = this.#connection.subscribe(this.#subjectOf(topic), {
        callback: (error, message) => {
          if (error === null) return this.#link.receive(topic, message.data)
          // The server lets us not; the client has dropped it.
          refusal = error
          if (this.#subscriptions.get(topic) === subscription) this.#subscriptions.delete(topic)
        }
      })
      this.#subscriptions.set(topic, subscription)
      await this.#confirm()
      if (refusal !== undefined) throw refusal
    })
  }

  async unsubscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      const subscription = this.#subscriptions.get(topic)
      if (subscription === undefined) return
      this.#subscriptions.delete(topic)
      subscription.unsubscribe()
      await this.#confirm()
    })
  }

  async publish (topic: string, payload: Uint8Array): Promise<void> {
    await this.#link.call(async () => {
      const subject = this.#subjectOf(topic)
      this.#connection.publish(subject, payload)
      const refusal = (await this.#confirm()).get(subject)
      if (refusal !== undefined) throw refusal
    })
  }

  async stop (): Promise<void> {
    this.#link.stop()
    this.#statuses?.stop?.()
    this.#forget()
  }

  /** Resolves when the server has all that was sent in this turn, in which order it answers, with what it refused of that. */
  #confirm (): Promise<ReadonlyMap<string, Error>> {
    this.#confirmation ??= this.#flushSoon()
    return this.#confirmation
  }

  async #flushSoon (): Promise<ReadonlyMap<string, Error>> {
    await nextTurn()
    this.#confirmation = undefined
    await this.#connection.flush()
    // Refusals were read before the answer, and are told of later in that turn.
    await nextTurn()
    const refusals = this.#refusals
    if (refusals.size > 0) this.#refusals = new Map()
    return refusals
  }

  async #watch (statuses: NatsStatuses): Promise<void> {
    for await (const { type, error } of statuses) {
      if (type === 'reconnect') this.#link.up()
      if (type === 'disconnect') this.#lose()
      if (type === 'error') this.#note(error)
    }
    // It was closed, by its owner or because it gave up.
    this.#lose()
  }

  #note (error: Error & { readonly operation?: unknown, readonly subject?: unknown } = new Error('unknown')): void {
    if (error.operation === 'publish' && typeof error.subject === 'string') this.#refusals.set(error.subject, error)
  }

  #lose (): void {
    // The client would subscribe to them again by itself.
    this.#forget()
    this.#link.down()
  }

  #forget (): void {
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe()
    this.#subscriptions.clear()
  }

  /** One token that can be read, or a hash in two where it were too long: a dot is in the latter only. */
  #subjectOf (topic: string): string {
    const token = encodeURIComponent(topic).replace(/[.*]/g, (character) => character === '.' ? '%2E' : '%2A')
    return token.length <= MAX_SUBJECT_LENGTH
      ? `${this.#prefix}.${token}`
      : `${this.#prefix}.sha256.${createHash('sha256').update(topic).digest('hex')}`
  }
}
