import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { FST_WEBSOCK_INVALID_CLIENT } from '../errors.ts'
import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { checkEngineOptions } from './engine-options.ts'
import { Link } from './link.ts'
import { Liveness } from './liveness.ts'

/** Of a connection of `@nats-io/transport-node` 3, what is used here. */
export interface NatsConnection {
  /** Undefined while it is not connected. */
  readonly info?: { readonly max_payload: number } | undefined
  publish (subject: string, payload: Uint8Array): void
  subscribe(
    subject: string,
    options: { callback(error: Error | null, message: { readonly data: Uint8Array }): void }
  ): NatsSubscription
  flush (): Promise<void>
  status (): NatsStatuses
  reconnect (): Promise<void>
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
  /**
   * The first tokens of all subjects, at most 128 letters, digits, `-`, `_` with dots between. The
   * same on all nodes. Default `websock`.
   */
  readonly prefix?: string
}

const MIB = 1024 * 1024
const RETRY_MS = 500
// A server takes lines of 4 096 bytes (`max_control_line`), in which there is more than the
// subject.
const MAX_SUBJECT_LENGTH = 1024
const SOCKET_IS_HIDDEN =
  ', and this version of its client hides its socket: until the system gives the connection up, which may take minutes, it may not connect again'
const RULES = {
  prefix: (value: unknown) =>
    typeof value === 'string' && value.length <= 128 && /^[\w-]+(\.[\w-]+)*$/.test(value)
      ? undefined
      : 'a string of at most 128 letters, digits, "-", "_" and dots between them'
}

/**
 * An engine over NATS, by a connection of `@nats-io/transport-node`, which stays the user's: it is
 * not closed, and how long it tries to connect again is as it was told (`maxReconnectAttempts`, by
 * default 10: -1 is for ever). Throws FST_WEBSOCK_INVALID_CLIENT, _INVALID_OPTION, _UNKNOWN_OPTION.
 */
export function natsEngine (connection: NatsConnection, options: NatsEngineOptions = {}): Engine {
  const { prefix = 'websock' } = checkEngineOptions<NatsEngineOptions>(options, RULES, 'natsEngine')
  const { publish, subscribe, flush, status, reconnect } = (connection ??
    {}) as Partial<NatsConnection>
  if (
    ![publish, subscribe, flush, status, reconnect].every((method) => typeof method === 'function')
  ) {
    throw new FST_WEBSOCK_INVALID_CLIENT(
      'natsEngine',
      'a connection of `@nats-io/transport-node`',
      inspect(connection, { depth: 0 }).slice(0, 80)
    )
  }
  return new NatsEngine(connection, prefix)
}

/**
 * The socket of a connection, which no documented property leads to; undefined when it is not where
 * it was in version 3.
 */
function socketOf (connection: NatsConnection): { destroy (): void } | undefined {
  const { protocol } = connection as {
    protocol?: { transport?: { socket?: { destroy?: unknown } } }
  }
  const socket = protocol?.transport?.socket
  return typeof socket?.destroy === 'function' ? socket as { destroy (): void } : undefined
}

/** A call that the server has yet to confirm. */
interface Call {
  readonly type: 'subscribe' | 'publish'
  readonly subject: string
  refusal?: Error
}

class NatsEngine implements Engine {
  readonly name = 'nats'
  readonly #link = new Link('nats')
  readonly #connection: NatsConnection
  readonly #prefix: string
  readonly #subscriptions = new Map<string, NatsSubscription>()
  readonly #calls = new Set<Call>()
  readonly #liveness: Liveness
  #statuses: NatsStatuses | undefined
  #maxPayloadBytes = MIB
  #confirmation: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  /** Subscriptions that are made one after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor (connection: NatsConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
    this.#liveness = new Liveness({
      probe: () => connection.flush().then(() => true, () => false),
      proved: (sentAt) => {
        // No property tells whether it is connected.
        this.#link.up()
        this.#link.proved(sentAt)
      },
      silent: () => this.#hangUp()
    })
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
    this.#liveness.start()
    // Where it is not connected now this rejects, and `reconnect` will tell.
    this.#connection.flush().then(() => this.#link.up(), () => {})
  }

  async subscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      if (this.#subscriptions.has(topic)) return
      if (await this.#subscribe(topic)) return
      // The server says that there are too many, and not which. One by one it can be told.
      const alone = this.#queue.then(async () => {
        if (!this.#link.isUp || await this.#subscribe(topic)) return
        throw new Error('NATS takes no more subscriptions: see `max_subscriptions` of the server')
      })
      this.#queue = alone.catch(() => {})
      await alone
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
      const refusal = await this.#outcome({ type: 'publish', subject })
      if (refusal !== undefined) throw refusal
    })
  }

  async stop (): Promise<void> {
    this.#liveness.stop()
    clearTimeout(this.#retry)
    this.#link.stop()
    this.#statuses?.stop?.()
    this.#forget()
  }

  /**
   * False when the server took fewer subscriptions than it was asked for, of which this may be one.
   * Rejects when it is not permitted.
   */
  async #subscribe (topic: string): Promise<boolean> {
    let refusal: Error | undefined
    let isConfirmed = false
    const subject = this.#subjectOf(topic)
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) {
          this.#liveness.heard()
          return this.#link.receive(topic, message.data)
        }
        // The server does not permit it, or does not any more; the client has dropped it.
        refusal = error
        if (this.#subscriptions.get(topic) !== subscription) return
        this.#subscriptions.delete(topic)
        if (isConfirmed) this.#link.dropped(topic, error)
      }
    })
    this.#subscriptions.set(topic, subscription)
    const tooMany = await this.#outcome({ type: 'subscribe', subject })
    if (refusal !== undefined) throw refusal
    if (tooMany === undefined) isConfirmed = true
    else if (this.#subscriptions.get(topic) === subscription) {
      this.#subscriptions.delete(topic)
      subscription.unsubscribe()
    }
    return isConfirmed
  }

  /**
   * Resolves when the server has answered what was sent in this turn, with what it refused of this
   * call.
   */
  async #outcome (call: Call): Promise<Error | undefined> {
    this.#calls.add(call)
    try {
      await this.#confirm()
    } finally {
      this.#calls.delete(call)
    }
    return call.refusal
  }

  #confirm (): Promise<void> {
    this.#confirmation ??= this.#flushSoon()
    return this.#confirmation
  }

  async #flushSoon (): Promise<void> {
    await nextTurn()
    this.#confirmation = undefined
    await this.#connection.flush()
    // Refusals were read before the answer, and are told of later in that turn.
    await nextTurn()
  }

  async #watch (statuses: NatsStatuses): Promise<void> {
    for await (const { type, error } of statuses) {
      if (type === 'reconnect') this.#link.up()
      if (type === 'disconnect') this.#lose()
      if (type === 'error' && error !== undefined) this.#note(error)
    }
    this.#lose(
      new Error(
        'The connection to NATS was closed, by its owner or because it gave up (see `maxReconnectAttempts` and `ignoreAuthErrorAbort`)'
      )
    )
  }

  #note (error: Error & { readonly operation?: unknown, readonly subject?: unknown }): void {
    const isFull = /maximum .*subscriptions/i.test(error.message)
    for (const call of this.#calls) {
      if (
        call.type === 'subscribe'
          ? isFull
          : error.operation === 'publish' && error.subject === call.subject
      ) {
        call.refusal = error
      }
    }
  }

  /** The server is silent. What is dialed next may be another one, or the same by another way. */
  #hangUp (): void {
    this.#liveness.heard()
    if (!this.#link.isUp) return
    const hint = socketOf(this.#connection) === undefined ? SOCKET_IS_HIDDEN : ''
    this.#lose(new Error(`NATS does not answer${hint}`))
    this.#retry = setTimeout(() => this.#reconnect(), RETRY_MS).unref()
  }

  #reconnect (): void {
    if (this.#link.isUp) return
    this.#connection.reconnect().catch(() => {})
    // `reconnect` waits until the socket has taken all, which it does not where the other end is
    // gone.
    socketOf(this.#connection)?.destroy()
  }

  #lose (reason?: unknown): void {
    // The client would subscribe to them again by itself.
    this.#forget()
    this.#link.down(reason)
  }

  #forget (): void {
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe()
    this.#subscriptions.clear()
  }

  /**
   * One token that can be read, or a hash in two where it were too long: a dot is in the latter
   * only.
   */
  #subjectOf (topic: string): string {
    const token = encodeURIComponent(topic).replace(/[.*]/g, (character) =>
      character === '.' ? '%2E' : '%2A'
    )
    return token.length <= MAX_SUBJECT_LENGTH
      ? `${this.#prefix}.${token}`
      : `${this.#prefix}.sha256.${createHash('sha256').update(topic).digest('hex')}`
  }
}
