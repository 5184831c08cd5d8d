import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { FST_WEBSOCK_INVALID_CLIENT } from '../errors.ts'
import type { Engine, EngineListener } from '../pubsub/engine.ts'
import { checkEngineOptions } from './engine-options.ts'
import { Link } from './link.ts'
import { Liveness } from './liveness.ts'

/** The part of a connection of `@nats-io/transport-node` 3 that the engine uses. */
export interface NatsConnection {
  /** Undefined while the connection is not established. */
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
   * The first tokens of all subjects: at most 128 letters, digits, `-`, `_`, with dots between
   * them. Must be the same on all nodes. Default `websock`.
   */
  readonly prefix?: string
}

const MIB = 1024 * 1024
const RETRY_MS = 500
// A server accepts lines of at most 4 096 bytes (`max_control_line`), and a line holds more than
// the subject.
const MAX_SUBJECT_LENGTH = 1024
const SOCKET_IS_HIDDEN =
  ', and this version of its client hides its socket: it may not reconnect until the operating ' +
  'system closes the connection, which may take minutes'
const RULES = {
  prefix: (value: unknown) =>
    typeof value === 'string' && value.length <= 128 && /^[\w-]+(\.[\w-]+)*$/.test(value)
      ? undefined
      : 'a string of at most 128 letters, digits, "-", "_" and dots between them'
}

/**
 * Creates an engine over NATS from a connection of `@nats-io/transport-node`.
 *
 * The user owns the connection: the engine does not close it. The connection's options decide how
 * often it reconnects (`maxReconnectAttempts`, 10 by default; -1 means no limit). Throws
 * FST_WEBSOCK_INVALID_CLIENT, _INVALID_OPTION, _UNKNOWN_OPTION.
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
 * Returns the socket of a connection. No documented property holds it: undefined if it is not where
 * version 3 keeps it.
 */
function socketOf (connection: NatsConnection): { destroy (): void } | undefined {
  const { protocol } = connection as {
    protocol?: { transport?: { socket?: { destroy?: unknown } } }
  }
  const socket = protocol?.transport?.socket
  return typeof socket?.destroy === 'function' ? socket as { destroy (): void } : undefined
}

/** A call that the server has not confirmed yet. */
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
  /** Runs subscriptions one at a time, see `subscribe`. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor (connection: NatsConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = prefix
    this.#liveness = new Liveness({
      probe: () => connection.flush().then(() => true, () => false),
      proved: (sentAt) => {
        // No property of the connection tells whether it is connected, but an answer does.
        this.#link.up()
        this.#link.proved(sentAt)
      },
      silent: () => this.#hangUp()
    })
  }

  /** The limit of the server. Before the first connection: the default of NATS. */
  get maxPayloadBytes (): number {
    this.#maxPayloadBytes = this.#connection.info?.max_payload ?? this.#maxPayloadBytes
    return this.#maxPayloadBytes
  }

  async start (listener: EngineListener): Promise<void> {
    this.#link.start(listener)
    this.#statuses = this.#connection.status()
    void this.#watch(this.#statuses)
    this.#liveness.start()
    // Rejects while the connection is not established. The status `reconnect` follows in that case.
    this.#connection.flush().then(() => this.#link.up(), () => {})
  }

  async subscribe (topic: string): Promise<void> {
    await this.#link.call(async () => {
      if (this.#subscriptions.has(topic)) return
      if (await this.#subscribe(topic)) return
      // The server reports that there are too many subscriptions, but not which were refused.
      // Subscribing one at a time shows which.
      const alone = this.#queue.then(async () => {
        if (!this.#link.isUp || await this.#subscribe(topic)) return
        throw new Error('NATS accepts no more subscriptions: see `max_subscriptions` of the server')
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
    this.#dropSubscriptions()
  }

  /**
   * Subscribes to a topic. Resolves with false when the server refused some of the subscriptions
   * under way, perhaps this one. Rejects when it is not permitted.
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
        // The server denies the subscription or has withdrawn the permission. The client has
        // dropped the subscription.
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
   * Waits until the server has answered everything sent in this turn. Resolves with the server's
   * refusal of this call, if any.
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
    // The client has read refusals before the answer, and reports them later in the same turn.
    await nextTurn()
  }

  async #watch (statuses: NatsStatuses): Promise<void> {
    for await (const { type, error } of statuses) {
      if (type === 'reconnect') this.#link.up()
      if (type === 'disconnect') this.#handleLoss()
      if (type === 'error' && error !== undefined) this.#setRefusal(error)
    }
    this.#handleLoss(
      new Error(
        'The connection to NATS was closed, by its owner or because it gave up (see ' +
        '`maxReconnectAttempts` and `ignoreAuthErrorAbort`)'
      )
    )
  }

  #setRefusal (error: Error & { readonly operation?: unknown, readonly subject?: unknown }): void {
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

  /** Handles a silent server: reconnects, perhaps to another server or over another path. */
  #hangUp (): void {
    this.#liveness.heard()
    if (!this.#link.isUp) return
    const hint = socketOf(this.#connection) === undefined ? SOCKET_IS_HIDDEN : ''
    this.#handleLoss(new Error(`NATS does not answer${hint}`))
    this.#retry = setTimeout(() => this.#reconnect(), RETRY_MS).unref()
  }

  #reconnect (): void {
    if (this.#link.isUp) return
    this.#connection.reconnect().catch(() => {})
    // `reconnect` waits until the socket has written everything, which never happens when the other
    // end is gone.
    socketOf(this.#connection)?.destroy()
  }

  #handleLoss (reason?: unknown): void {
    // The client would resubscribe to these subjects by itself.
    this.#dropSubscriptions()
    this.#link.down(reason)
  }

  #dropSubscriptions (): void {
    for (const subscription of this.#subscriptions.values()) subscription.unsubscribe()
    this.#subscriptions.clear()
  }

  /**
   * Encodes a topic as a subject: one readable token, or `sha256.` and a hash for a long topic.
   * Only the hashed form contains a dot, so the two cannot collide.
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
