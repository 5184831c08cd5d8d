import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { OutgoingFrame } from '../wire/frame.ts'
import { burst, type Writer } from './burst.ts'
import type { Endpoint, Peer } from './endpoint.ts'
import { flushAtEndOfTick, type BatchWriter, type FrameBatch } from './frame-batch.ts'
import type { SharedFrame } from './shared-frame.ts'
import type { Transport } from './transport.ts'

/** What a slow reader gets: an end with 1013; messages left out, and counted; or a mailbox that stands still meanwhile. */
export type SlowPeerPolicy = 'close' | 'drop' | 'wait'

/** What a write costs that the socket has not taken, besides its bytes: two buffers, two entries of Node's queue. */
const WRITE_OVERHEAD = 256

/** What waits for the end of the tick at most: more goes at once. */
const MAX_BATCH_BYTES = 64 * 1024

export interface OutboxLimits {
  readonly maxBufferedBytes: number
  readonly slowPeer: SlowPeerPolicy
  readonly fastLane: boolean
}

/** The one door out of a connection. */
export class Outbox implements Writer, BatchWriter {
  readonly #endpoint: Pick<Endpoint, 'limits' | 'topics'>
  readonly #transport: Transport
  readonly socket: Duplex
  /** Frames of this tick that others get too, which go at its end. Only while nothing waits for the peer. */
  #batch: FrameBatch | undefined
  /** What is deflated for others may be written to this one, too. */
  readonly #deflatesAlike: boolean
  /** Writes that were made while others waited, and wait themselves. */
  #waiting = 0
  #onSent: (() => void) | undefined
  #onDrained: (() => void) | undefined
  #probing = false

  constructor (transport: Transport, { socket, smallWindow }: Pick<Peer, 'socket' | 'smallWindow'>, endpoint: Pick<Endpoint, 'limits' | 'topics'>) {
    this.socket = socket
    this.#transport = transport
    this.#deflatesAlike = endpoint.limits.fastLane && !smallWindow && !transport.plain && transport.compressed && socket instanceof Socket
    this.#endpoint = endpoint
  }

  get bufferedBytes (): number {
    this.#endpoint.topics.settle()
    return this.#buffered
  }

  /** With `wait`: more waits than the mark allows, so nothing else is to be handled now. */
  get clogged (): boolean {
    return this.#waits && this.#isOverfull()
  }

  /**
   * Hands a frame to the socket. False, and nothing sent, when more than `maxBufferedBytes` wait already: so a peer that
   * never reads costs that and one message at most; with `wait`, which sends nevertheless, that and one result.
   */
  send (frame: OutgoingFrame): boolean {
    this.#endpoint.topics.settle()
    if (!this.#isOpen) return true
    if (!this.#waits && this.#isOverfull()) return false
    this.flushBatch()
    if (this.#transport.plain) burst.add(this, frame)
    else this.#transport.send(frame, this.#count())
    return true
  }

  /** Whatever the peer has left unread, see {@link FastLane}. */
  sendPong (data: Buffer): void {
    this.#endpoint.topics.settle()
    this.flushBatch()
    burst.add(this, { opcode: 'pong', data })
  }

  /**
   * The same for frames that many get, in one write; false, and nothing sent, when they have to be sent one by one.
   * `more`: others may come in this tick, and go with them.
   */
  sendBatch (batch: FrameBatch, more: boolean): boolean {
    if (!this.#isOpen) return true
    const { maxBufferedBytes } = this.#endpoint.limits
    const limit = Math.min(MAX_BATCH_BYTES, maxBufferedBytes)
    if (this.#batch !== undefined && this.#batch.length + batch.length > limit) this.flushBatch()
    burst.flush(this)
    if (!this.#transport.plain || batch.length > maxBufferedBytes || this.#transport.bufferedBytes > 0) return false
    const together = this.#batch?.and(batch) ?? batch
    const waits = more && together.length < limit
    if (waits && this.#batch === undefined) flushAtEndOfTick(this)
    this.#batch = waits ? together : undefined
    if (!waits) this.write(together.bytes)
    return true
  }

  /** The same for one of them. */
  sendShared (frame: SharedFrame): boolean {
    if (!this.#isOpen) return true
    if (!this.#waits && this.#isOverfull()) return false
    if (this.#transport.plain) this.#writeBehind(frame.bytes)
    else if (this.#mayWriteDeflated) this.write(frame.deflated)
    else this.#transport.send({ opcode: frame.opcode, data: frame.payload } as OutgoingFrame, this.#count())
    return true
  }

  /** Sends what waits for the end of the tick: to be called before ws writes something of its own. */
  flush (): void {
    this.#endpoint.topics.settle()
    this.#flush()
  }

  flushBatch (): void {
    const batch = this.#batch
    if (batch === undefined) return
    this.#batch = undefined
    this.write(batch.bytes)
  }

  write (bytes: Uint8Array): void {
    if (this.#isOpen) this.socket.write(bytes, this.#count())
  }

  /** Resolves when half of the mark waits at most, or nobody is to wait for it any more. */
  async drained (): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve
      if (!this.#probing) this.#probe()
    })
  }

  stopWaiting (): void {
    this.#onDrained?.()
    this.#onDrained = undefined
  }

  /** Not when the peer has closed, and `close` comes when TCP has ended: until then ws would count what nobody sends as buffered. */
  get #isOpen (): boolean {
    return this.#transport.open
  }

  /** Not while ws is deflating something, which would come too late: then more waits than the socket has. */
  get #mayWriteDeflated (): boolean {
    return this.#deflatesAlike && this.#transport.bufferedBytes === this.socket.writableLength
  }

  get #waits (): boolean {
    return this.#endpoint.limits.slowPeer === 'wait'
  }

  get #buffered (): number {
    return this.#transport.bufferedBytes + burst.lengthOf(this) + (this.#batch?.length ?? 0)
  }

  get #held (): number {
    return this.#buffered + this.#waiting * WRITE_OVERHEAD
  }

  #flush (): void {
    burst.flush(this)
    this.flushBatch()
  }

  #writeBehind (bytes: Uint8Array): void {
    this.#flush()
    this.write(bytes)
  }

  /** ws's pongs wait too, and tell nobody when they have left: an empty write behind them does. */
  #probe (): void {
    this.#probing = this.#onDrained !== undefined && this.#isOpen
    if (!this.#probing) return
    this.socket.write('', () => {
      this.#lookAgain()
      // Not at once: where frames are being compressed the socket may have nothing to send yet.
      setImmediate(() => this.#probe())
    })
  }

  #lookAgain (): void {
    if (this.#held * 2 <= this.#endpoint.limits.maxBufferedBytes) this.stopWaiting()
  }

  #isOverfull (): boolean {
    if (this.#held <= this.#endpoint.limits.maxBufferedBytes) return false
    // What waits for its burst only does not wait for the peer.
    this.#flush()
    return this.#held > this.#endpoint.limits.maxBufferedBytes
  }

  /** Only while something waits: otherwise a write is the kernel's at once, and needs no callback. */
  #count (): (() => void) | undefined {
    if (!this.#waits && this.#transport.bufferedBytes === 0) return undefined
    this.#waiting++
    // Called when it has left, and with an error when it never will.
    return (this.#onSent ??= () => {
      this.#waiting--
      this.#lookAgain()
    })
  }
}
