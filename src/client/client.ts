import type { Codec } from '../wire/codec.ts'
import { BoundedQueue, type Sized } from './bounded-queue.ts'
import { ClientError, type ClientErrorCode } from './client-error.ts'
import { createSafeCall, type SafeCall } from './safe-call.ts'
import { Link } from './link.ts'
import type {
  Client,
  ClientContract,
  ClientOptions,
  ClientSide,
  ClientState,
  RequestOptions,
  SendResult,
  Url,
  UrlFunction,
  WebSocketLike
} from './types.ts'

type Data = string | Uint8Array<ArrayBuffer>
type Options = ClientOptions<ClientSide, string, string>
type Fields = Readonly<Record<string, unknown>>
type Listener = (message: unknown) => void

/** An outgoing message. */
interface Letter extends Sized {
  readonly data: Data
  /** The bytes of `data`. Set when the message has to wait. */
  size: number
  sent: boolean
  /** Called when the message will not be sent. For a request, also when it will not be answered. */
  readonly fail: (code: ClientErrorCode) => void
}

/** A request that waits for its answer. */
interface Pending {
  readonly letter: Letter
  readonly resolve: (answer: unknown) => void
}

interface Received extends Sized {
  readonly message: unknown
}

/**
 * Receives the messages of an async iteration. Called without a message when the client is closed.
 */
type Reader = (item?: Received) => void

const JSON_CODEC: Codec = { opcode: 'text', decode: JSON.parse, encode: JSON.stringify }

/**
 * Creates a client, which connects and reconnects until it is closed or gives up.
 *
 * `url`: a URL, or a function that is called for each attempt. Throws when there is no WebSocket
 * class. Later failures are states of the client.
 */
export function connect<
  C extends ClientContract = ClientSide, F extends string = 'event', R extends string = 'ref'
> (url: Url | UrlFunction, options: ClientOptions<C, F, R> = {}): Client<C, F, R> {
  // Internally a message is unknown. The types of the contract apply to callers.
  return new WebsocketClient(url, options as unknown as Options) as unknown as Client<C, F, R>
}

class WebsocketClient {
  readonly #options: Options
  readonly #safeCall: SafeCall
  readonly #link: Link
  readonly #queue: BoundedQueue<Letter>
  readonly #listeners = new Map<unknown, Set<Listener>>()
  readonly #subscribers = new Set<(state: ClientState) => void>()
  readonly #pending = new Map<unknown, Pending>()
  readonly #readers = new Set<Reader>()
  // The prefix makes references unique among clients, because a server may send a message with one
  // client's reference to all clients.
  #lastRef = 0
  readonly #refPrefix = Math.random().toString(36)

  constructor (url: Url | UrlFunction, options: Options) {
    const { onError, onOpen, queue, ping } = options
    this.#options = options
    this.#safeCall = createSafeCall(onError)
    this.#queue = new BoundedQueue(queue)
    this.#link = new Link(
      url,
      options,
      {
        intervalMs: 30_000,
        timeoutMs: 10_000,
        ...ping,
        send:
          ping &&
          (() => {
            this.#safeCall(() => this.#link.open?.send(this.#encode(ping.message())))
          })
      },
      {
        opened: () => {
          if (onOpen) this.#safeCall(onOpen)
          for (let socket, letter; (socket = this.#link.open) && (letter = this.#queue.shift());) {
            write(letter, socket)
          }
        },
        received: (data) => this.#receive(data as string | ArrayBuffer),
        changed: () => this.#tell()
      },
      this.#safeCall
    )
    this.#link.start()
  }

  readonly getSnapshot = (): ClientState => this.#link.state

  readonly subscribe = (subscriber: (state: ClientState) => void): (() => void) => {
    this.#safeCall(() => subscriber(this.getSnapshot()))
    return add(this.#subscribers, subscriber)
  }

  readonly on = (value: unknown, listener: Listener): (() => void) => {
    const listeners = this.#listeners.get(value) ?? new Set()
    this.#listeners.set(value, listeners)
    return add(listeners, listener)
  }

  readonly send = (message: unknown): SendResult => this.#post(
    this.#letter(message, () => { this.#safeCall(() => this.#options.onDrop?.(message)) })
  )

  readonly request = (message: Fields, options: RequestOptions = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const { timeoutMs = 10_000, signal } = options
      const field = this.#options.ref ?? 'ref'
      const ref = message[field] ?? this.#refPrefix + ++this.#lastRef
      signal?.throwIfAborted()
      if (this.#pending.has(ref)) throw new ClientError('refused', false)
      const settle = <T>(how: (value: T) => void) => (value: T): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        this.#pending.delete(ref)
        this.#queue.remove(letter)
        how(value)
      }
      const abort = settle(() => reject(signal?.reason))
      const fail = settle((code: ClientErrorCode) => reject(new ClientError(code, letter.sent)))
      const letter = this.#letter({ ...message, [field]: ref }, fail)
      const timer = setTimeout(fail, timeoutMs, 'timeout')
      signal?.addEventListener('abort', abort)
      this.#pending.set(ref, { letter, resolve: settle(resolve) })
      if (this.#post(letter) === 'refused') letter.fail('refused')
    })

  readonly close = (code = 1000, reason = ''): void => this.#link.close(code, reason)

  async * [Symbol.asyncIterator] (): AsyncGenerator<unknown, void, undefined> {
    const inbox = new BoundedQueue<Received>(this.#options.iteration)
    let wake = (): void => {}
    const reader: Reader = (item) => {
      // A message that does not fit ends the iteration, after the messages before it.
      if (item && !inbox.add(item)) this.#readers.delete(reader)
      wake()
    }
    this.#readers.add(reader)
    try {
      for (;;) {
        const next = inbox.shift()
        if (next) yield next.message
        else if (!this.#readers.has(reader)) throw new ClientError('overflow', false)
        else if (this.#link.state.status === 'closed') return
        else await new Promise<void>((resolve) => { wake = resolve })
      }
    } finally {
      this.#readers.delete(reader)
    }
  }

  #letter (message: unknown, fail: Letter['fail']): Letter {
    return { data: this.#encode(message), size: 0, sent: false, fail }
  }

  #encode (message: unknown): Data {
    const data = (this.#options.codec ?? JSON_CODEC).encode(message) as Data | undefined
    if (data === undefined) throw new TypeError('Not a message')
    return data
  }

  #post (letter: Letter): SendResult {
    const { maxBufferedBytes = 16_000_000 } = this.#options
    const socket = this.#link.open
    if (socket) {
      if (socket.bufferedAmount > maxBufferedBytes) return 'refused'
      write(letter, socket)
      return 'sent'
    }
    if (this.#link.state.status === 'closed') return 'refused'
    letter.size = sizeOf(letter.data)
    const gone = this.#queue.add(letter)
    for (const { fail } of gone ?? []) fail('dropped')
    return gone ? 'queued' : 'refused'
  }

  #receive (raw: string | ArrayBuffer): void {
    const { codec = JSON_CODEC, field = 'event', ref = 'ref', onError, onMessage } = this.#options
    const data = typeof raw === 'string' ? raw : new Uint8Array(raw)
    let message: unknown
    try {
      if ((data === raw) !== (codec.opcode === 'text')) throw new TypeError('Not a message')
      message = codec.decode(data as never)
    } catch (cause) {
      // Without `onError` a bad frame is ignored, because a server must not be able to end the
      // process.
      if (onError) this.#safeCall(() => { throw new ClientError('undecodable', false, { cause }) })
      return
    }
    const fields = message as Fields | null | undefined
    this.#pending.get(fields?.[ref])?.resolve(message)
    for (const reader of this.#readers) reader({ message, size: sizeOf(data) })
    if (onMessage) this.#safeCall(() => onMessage(message))
    for (const listener of [...(this.#listeners.get(fields?.[field]) ?? [])]) {
      this.#safeCall(() => listener(message))
    }
  }

  /** Reports a new state. Settles the requests, queued messages and iterations that it ends. */
  #tell (): void {
    const { status } = this.getSnapshot()
    for (const { letter } of this.#pending.values()) {
      if (letter.sent && status !== 'open') letter.fail('lost')
    }
    if (status === 'closed') {
      for (let letter; (letter = this.#queue.shift());) letter.fail('closed')
      for (const reader of this.#readers) reader()
    }
    for (const subscriber of [...this.#subscribers]) {
      this.#safeCall(() => subscriber(this.getSnapshot()))
    }
  }
}

/**
 * Adds a listener. A listener that is added twice is called twice. Returns a function that removes
 * it.
 */
function add<T> (listeners: Set<(value: T) => void>, listener: (value: T) => void): () => void {
  const own = (value: T): void => listener(value)
  listeners.add(own)
  return () => { listeners.delete(own) }
}

function write (letter: Letter, socket: WebSocketLike): void {
  letter.sent = true
  socket.send(letter.data)
}

/** The size of data in bytes: text as UTF-8. */
function sizeOf (data: Data): number {
  return new Blob([data]).size
}
