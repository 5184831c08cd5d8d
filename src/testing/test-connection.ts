import type { Duplex } from 'node:stream'
import type { FieldValue, MessageWith } from '../client/types.ts'
import { buildClosePayload, InvalidClosing, readClosePayload } from '../protocol/close-payload.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { Codec } from '../wire/codec.ts'
import { buildClientFrame, ServerFrames, type FrameKind, type WholeFrame } from './client-frames.ts'
import { LazyPromise } from './lazy-promise.ts'
import { after } from './real-time.ts'
import { Transcript } from './transcript.ts'
import type { ClosedWith, ExpectOptions, Refusal } from './types.ts'
import type { Answer } from './upgrade.ts'

/** A received message that the test has not taken yet. */
interface Waiting {
  readonly message: unknown
}

const JSON_CODEC: Codec = { opcode: 'text', decode: JSON.parse, encode: JSON.stringify }
const MAX_SHOWN = 200

/**
 * The WebSocket client of a test. Each wait rejects with the transcript when the expected event
 * does not come in time or can no longer come.
 */
export class TestConnection<In, Out, F extends string = 'event'> implements AsyncDisposable {
  /**
   * The answer to the upgrade, when it was not the 101. Then the client can neither send nor
   * receive.
   */
  readonly refused: Refusal | undefined
  /** The headers of the answer to the upgrade. */
  readonly headers: Refusal['headers']
  readonly subprotocol: string | null
  /**
   * The stream of the connection: `pause()` simulates a client that does not read, `destroy()` a
   * client that vanishes.
   */
  readonly socket: Duplex
  /** All received messages, also those that the test has taken. */
  readonly received: In[] = []
  readonly #options: Required<ExpectOptions<string>>
  #problem: string | undefined
  readonly #transcript = new Transcript()
  readonly #frames = new ServerFrames()
  readonly #waiting: Waiting[] = []
  readonly #watchers = new Set<() => void>()
  #closeSent = false
  #closed: ClosedWith | undefined

  constructor (
    answer: Answer,
    { field = 'event' as F, codec = JSON_CODEC, timeoutMs = 3000 }: ExpectOptions<F>
  ) {
    this.refused = answer.refused
    this.headers = answer.headers
    this.subprotocol = answer.headers['sec-websocket-protocol'] as string | undefined ?? null
    this.socket = answer.socket
    this.#options = { field, codec, timeoutMs }
    if (answer.refused === undefined) this.#listen(answer.head)
    else this.#transcript.add(`refused: ${answer.refused.statusCode} ${answer.refused.body}`)
  }

  /** The events so far, one a line. */
  get transcript (): string {
    return this.#transcript.toString()
  }

  /** Prepares the error of an expectation. Its stack begins at the caller of `from`. */
  expectation (from: (...args: never[]) => unknown): (problem: string) => Error {
    return this.#transcript.expectation(from)
  }

  send (message: Out): void {
    const { codec } = this.#options
    if (codec !== 'raw') return this.#sendData(codec.encode(message), this.send)
    const { data } = message as { data: string | Uint8Array }
    this.#sendData(
      typeof message === 'string' || message instanceof Uint8Array ? message : data,
      this.send
    )
  }

  /** Sends a frame without encoding: a string as text, bytes as binary. */
  sendRaw (data: string | Uint8Array): void {
    this.#sendData(data, this.sendRaw)
  }

  /** Sends a ping. At most 125 bytes. */
  ping (data: string | Uint8Array = ''): void {
    this.#write('ping', Buffer.from(data as string), this.ping)
  }

  /**
   * Takes the first message that the test has not taken yet. With a value, the first one whose
   * field has this value.
   */
  next (): Promise<In>
  next<V extends FieldValue<In, F>> (value: V): Promise<MessageWith<In, F, V>>
  async next (value?: unknown): Promise<unknown> {
    const { field } = this.#options
    const fits = (message: unknown): boolean =>
      value === undefined ||
      (message as Record<string, unknown> | null | undefined)?.[field] === value
    return this.#take(
      value === undefined ? 'no message' : `no message with the ${field} ${String(value)}`,
      fits,
      this.next
    )
  }

  /** Takes the first message for which the predicate returns true. */
  nextWhere<M extends In> (predicate: (message: In) => message is M): Promise<M>
  nextWhere (predicate: (message: In) => boolean): Promise<In>
  async nextWhere (predicate: (message: In) => boolean): Promise<In> {
    return (await this.#take(
      'no message that the predicate accepts',
      predicate as (message: unknown) => boolean,
      this.nextWhere
    )) as In
  }

  /**
   * Resolves when there is no untaken message, none arrives within `ms`, and the connection stays
   * open.
   */
  async silence (ms: number): Promise<void> {
    const fail = this.#transcript.expectation(this.silence)
    this.#checkOpen(fail)
    const noise = (): { value: string } | undefined => {
      if (this.#waiting.length > 0) return { value: `a message within the silence of ${ms} ms` }
      return this.#closed && { value: `the end within the silence of ${ms} ms` }
    }
    const broken = await this.#wait(ms, noise)
    if (broken !== undefined) throw fail(broken.value)
  }

  /** The problem for which the client has destroyed its socket: a frame that it cannot parse. */
  get problem (): string | undefined { return this.#problem }

  /**
   * Resolves when the connection has ended, by either side. The time limit starts at the first
   * `await`.
   */
  get closed (): Promise<ClosedWith> {
    const fail = this.#transcript.expectation()
    return new LazyPromise(() => this.#untilClosed(fail))
  }

  /** Sends a close frame and waits for the end. */
  async close (code: number = closeCodes.normal, reason = ''): Promise<ClosedWith> {
    const fail = this.#transcript.expectation(this.close)
    if (!this.#closeSent && this.#closed === undefined) {
      this.#write('close', buildClosePayload(code, reason), this.close)
    }
    this.#closeSent = true
    return this.#untilClosed(fail)
  }

  /**
   * Closes the connection in any state. Destroys the socket when the connection does not close in
   * time.
   */
  async [Symbol.asyncDispose] (): Promise<void> {
    if (this.refused === undefined && this.#closed === undefined) await this.close().catch(() => {})
    this.socket.destroy()
  }

  #listen (head: Buffer): void {
    this.#transcript.add('open')
    const end = (): void => this.#end({ code: closeCodes.abnormal, reason: '' })
    this.socket.on('error', () => {}).on('close', end)
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk)).on('end', () => this.socket.end())
    if (head.length > 0) this.#read(head)
  }

  #read (chunk: Buffer): void {
    try {
      for (const frame of this.#frames.push(chunk)) this.#receive(frame)
    } catch (error) {
      const { message } = error as Error
      this.#problem = `the client did not understand a frame: ${message}`
      this.#transcript.add(`← not understood: ${message}`)
      this.socket.destroy()
    }
    for (const watch of [...this.#watchers]) watch()
  }

  #receive ({ kind, payload }: WholeFrame): void {
    if (kind === 'close') return this.#receiveClose(payload)
    this.#transcript.add(`← ${kind === 'text' ? '' : `${kind} `}${show(kind, payload)}`)
    if (kind === 'ping') this.#write('pong', payload, this.ping)
    if (kind !== 'text' && kind !== 'binary') return
    const message = this.#decode(kind, payload)
    this.received.push(message as In)
    this.#waiting.push({ message })
  }

  #receiveClose (payload: Buffer): void {
    const closing = readClosePayload(payload)
    if (closing instanceof InvalidClosing) throw new Error(closing.problem)
    if (!this.#closeSent) this.#write('close', payload, this.close)
    this.#closeSent = true
    this.#end(closing)
  }

  #decode (kind: 'text' | 'binary', payload: Buffer): unknown {
    const { codec } = this.#options
    const data = kind === 'text' ? payload.toString() : payload
    if (codec === 'raw') return data
    if (codec.opcode !== kind) {
      throw new Error(`a ${kind} frame, but the codec reads ${codec.opcode} (option \`codec\`)`)
    }
    try {
      return codec.decode(data as never)
    } catch (error) {
      throw new Error(`${(error as Error).message} (option \`codec\`)`, { cause: error })
    }
  }

  #end (closed: ClosedWith): void {
    if (this.#closed !== undefined) return
    this.#closed = closed
    this.#transcript.add(`closed ${closed.code} ${closed.reason}`)
    for (const watch of [...this.#watchers]) watch()
  }

  #sendData (data: string | Uint8Array, from: (...args: never[]) => unknown): void {
    this.#write(typeof data === 'string' ? 'text' : 'binary', Buffer.from(data as string), from)
  }

  #write (kind: FrameKind, payload: Buffer, from: (...args: never[]) => unknown): void {
    const fail = this.#transcript.expectation(from)
    this.#checkOpen(fail)
    if (this.#closed !== undefined) throw fail('nothing can be sent: the connection has ended')
    if (kind !== 'pong') {
      this.#transcript.add(`→ ${kind === 'text' ? '' : `${kind} `}${show(kind, payload)}`)
    }
    this.socket.write(buildClientFrame(kind, payload))
  }

  #checkOpen (fail: (problem: string) => Error): void {
    if (this.refused !== undefined) throw fail('the upgrade was refused')
  }

  async #take (
    what: string,
    fits: (message: unknown) => boolean,
    from: (...args: never[]) => unknown
  ): Promise<unknown> {
    const fail = this.#transcript.expectation(from)
    this.#checkOpen(fail)
    const { timeoutMs } = this.#options
    const found = await this.#wait(timeoutMs, () => {
      const at = this.#waiting.findIndex(({ message }) => fits(message))
      if (at >= 0) return { value: this.#waiting.splice(at, 1)[0] }
      return this.#closed && { value: undefined }
    })
    if (found?.value !== undefined) return found.value.message
    throw fail(
      this.#closed === undefined ? `${what} within ${timeoutMs} ms` : `${what} before the end`
    )
  }

  async #untilClosed (fail: (problem: string) => Error): Promise<ClosedWith> {
    this.#checkOpen(fail)
    const { timeoutMs } = this.#options
    const found = await this.#wait(timeoutMs, () => this.#closed && { value: this.#closed })
    if (found === undefined) throw fail(`the connection did not end within ${timeoutMs} ms`)
    return found.value
  }

  /**
   * Calls `look` now and after each event, until it returns a value. Resolves with undefined after
   * `ms`.
   */
  async #wait<T>(
    ms: number,
    look: () => { value: T } | undefined
  ): Promise<{ value: T } | undefined> {
    const found = look()
    if (found !== undefined) return found
    return new Promise((resolve) => {
      const settle = (result: { value: T } | undefined): void => {
        cancel()
        this.#watchers.delete(watch)
        resolve(result)
      }
      const watch = (): void => {
        const result = look()
        if (result !== undefined) settle(result)
      }
      const cancel = after(ms, () => settle(undefined))
      this.#watchers.add(watch)
    })
  }
}

function show (kind: FrameKind, payload: Buffer): string {
  if (kind === 'text') return payload.toString('utf8', 0, MAX_SHOWN * 4)
  if (kind === 'close') {
    return `${payload.length < 2 ? '' : payload.readUInt16BE()} ${payload.toString('utf8', 2)}`
  }
  return `${payload.length} bytes ${payload.toString('hex', 0, 32)}`
}
