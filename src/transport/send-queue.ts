import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TickTask } from '../event-loop.ts'
import { deflateMessage } from '../protocol/deflate.ts'
import { FIRST_BYTES, RSV1 } from '../protocol/frame-header.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { PreparedBatch } from './prepared-batch.ts'
import { MIN_DEFLATED_BYTES, PreparedMessage } from './prepared-message.ts'
import type { SendQueueOwner } from './send-queue-owner.ts'
import { MAX_BATCH_BYTES, type BatchWriter } from './write-batcher.ts'

/** Pongs behind bytes that wait: batched, and written. */
interface UnreadPongs {
  batched: number
  written: number
}

/**
 * What a write costs that waits, besides its bytes: two buffers and two entries of Node's queue.
 */
const WRITE_OVERHEAD = 256

/** ws cuts a peer behind as many: 128 KiB of the largest pongs. */
const MAX_UNREAD_PONGS = 1024

/**
 * Everything that one connection sends, in order: results, broadcasts, pongs, the close frame.
 *
 * Bytes wait in one of two places: in the batch of their tick, and then in the socket. Broadcasts
 * are kept as references in `#broadcasts`; when another frame follows, they are copied in front of
 * it. With `slowPeer: 'wait'`, broadcasts for a peer that is behind wait in `#held`.
 */
export class SendQueue implements BatchWriter, TickTask {
  /** Messages left out so far (`slowPeer: 'drop'`). */
  droppedMessages = 0
  /** Messages that were handed to the socket so far, and bytes. */
  messagesSent = 0
  bytesSent = 0
  readonly socket: Duplex
  readonly #owner: SendQueueOwner
  /** Of permessage-deflate, where that was agreed on. */
  readonly windowBits: number | undefined
  #open = true
  #broadcasts: PreparedBatch | undefined
  #scheduled = false
  /** A broadcast was refused in this tick (`slowPeer: 'close'`). */
  #isSlow = false
  /** The owner has been told that the peer is slow. */
  #toldOfSlowPeer = false
  #held: PreparedMessage[] | undefined
  #heldBytes = 0
  /** Writes that were made while others waited, and wait themselves. */
  #waitingWrites = 0
  #pongs: UnreadPongs | undefined
  #waiters: Array<(drained: boolean) => void> | undefined

  constructor (socket: Duplex, owner: SendQueueOwner, windowBits: number | undefined) {
    this.socket = socket
    this.#owner = owner
    this.windowBits = windowBits
  }

  /** Frames are taken: neither side has closed, and the socket can be written to. */
  get open (): boolean { return this.#open }

  /** Bytes that were taken and have not left. */
  get bufferedBytes (): number {
    return this.socket.writableLength + this.#owner.sharing.batcher.lengthOf(this) +
      (this.#broadcasts?.length ?? 0) + this.#heldBytes
  }

  /** With `slowPeer: 'wait'`: nothing else is to be handled before `drained` resolves. */
  get overHighWaterMark (): boolean {
    return this.#waits && this.#open && this.#isOverfull()
  }

  /**
   * Sends a message or a ping of the handler's. False when it is not sent: the connection is
   * closing, or more than `maxBufferedBytes` wait. So a peer that never reads costs that and one
   * message; with `wait`, that and one result.
   */
  send (frame: OutgoingFrame): boolean {
    if (!this.#open || (!this.#waits && this.#isOverfull() && this.#meetSlowPeer(1))) return false
    // Behind broadcasts that wait for the peer.
    if (this.#held !== undefined) this.#keep(new PreparedMessage(frame))
    else this.#add(frame)
    return true
  }

  /**
   * The same for messages that are no callback's result: with `wait`, those that find the peer
   * behind wait like broadcasts do, and are counted with them.
   */
  sendAside (frames: OutgoingFrame | readonly OutgoingFrame[]): boolean {
    if (!Array.isArray(frames)) return this.#sendAside(frames as OutgoingFrame)
    let sent = true
    for (const frame of frames as readonly OutgoingFrame[]) sent = this.#sendAside(frame) && sent
    return sent
  }

  /** Sends a ping of our own, however much waits. */
  ping (): void {
    if (this.#open) this.#addFrame(FIRST_BYTES.ping, '')
  }

  /** Answers a ping (RFC 6455 §5.5.3), however much waits. */
  pong (data: Buffer): void {
    if (!this.#open) return
    if (this.socket.writableLength > 0) {
      const pongs = (this.#pongs ??= { batched: 0, written: 0 })
      pongs.batched++
      if (pongs.batched + pongs.written > MAX_UNREAD_PONGS) return this.#owner.pongsUnread()
    }
    this.#addFrame(FIRST_BYTES.pong, data)
  }

  /**
   * Sends a message that many connections get. Calls no code of the application, so that a
   * broadcast reaches all subscribers before anything else happens.
   */
  broadcast (message: PreparedMessage): void {
    if (!this.#open) return
    if (this.#waits && (this.#held !== undefined || this.#isOverfull())) this.#hold(message)
    else this.#broadcast(message)
  }

  /** Sends the last frame, behind all that was taken. */
  close (payload: Uint8Array): void {
    if (!this.#open) return
    this.#takeHeld()
    this.#addFrame(FIRST_BYTES.close, payload)
    this.end()
  }

  /** Writes all that was taken, and takes nothing any more. */
  end (): void {
    if (this.#open) this.#takeHeld()
    this.flush()
    this.stop()
  }

  /** Takes nothing any more. What was written still leaves. */
  stop (): void {
    this.#open = false
    this.#broadcasts = this.#held = undefined
    this.#heldBytes = 0
    this.#resolveWaiters(false)
    this.#forgetSlowPeer()
  }

  /** Writes what waits for the end of this tick. */
  flush (): void {
    const { batcher } = this.#owner.sharing
    const broadcasts = this.#takeBroadcasts()
    if (batcher.lengthOf(this) > 0) {
      if (broadcasts !== undefined) batcher.addFramed(this, broadcasts.bytes)
      batcher.flush()
    } else if (broadcasts !== undefined) this.write(broadcasts.bytes)
  }

  endTick (): void {
    this.#scheduled = false
    if (!this.#open) return
    const broadcasts = this.#broadcasts
    const isSlow = this.#isSlow || (broadcasts !== undefined && !this.#waits && this.#isBehind())
    if (!isSlow) return this.flush()
    this.#broadcasts = undefined
    this.#meetSlowPeer(broadcasts?.count ?? 0)
  }

  /** Of the batcher. */
  write (bytes: Uint8Array): void {
    this.bytesSent += bytes.length
    this.#owner.traffic.bytesSent += bytes.length
    this.socket.write(bytes, this.#countWrite())
  }

  /**
   * Resolves true when at most half of `maxBufferedBytes` waits, false when the connection ends
   * before that.
   */
  async drained (): Promise<boolean> {
    if (!this.#open) return false
    this.flush()
    if (this.#isHalfEmpty) return true
    return await new Promise((resolve) => {
      (this.#waiters ??= []).push(resolve)
      this.#awaitWrite()
    })
  }

  get #waits (): boolean { return this.#owner.limits.slowPeer === 'wait' }

  get #isHalfEmpty (): boolean {
    const bytes = this.bufferedBytes - this.#heldBytes + this.#waitingWrites * WRITE_OVERHEAD
    return bytes * 2 <= this.#owner.limits.maxBufferedBytes
  }

  /** More waits for the peer than may. The owner is told when that begins. */
  #isBehind (): boolean {
    const isBehind = this.socket.writableLength + this.#waitingWrites * WRITE_OVERHEAD >
      this.#owner.limits.maxBufferedBytes
    if (isBehind && !this.#toldOfSlowPeer) {
      this.#toldOfSlowPeer = true
      this.#owner.peerIsSlow()
      this.#awaitWrite()
    }
    return isBehind
  }

  #forgetSlowPeer (): void {
    if (!this.#toldOfSlowPeer) return
    this.#toldOfSlowPeer = false
    this.#owner.peerHasCaughtUp()
  }

  /** Counts messages that are left out. */
  drop (messages: number): void {
    this.droppedMessages += messages
    this.#owner.traffic.messagesDropped += messages
  }

  #countSent (messages: number): void {
    this.messagesSent += messages
    this.#owner.traffic.messagesSent += messages
  }

  /** Broadcasts that are to leave now. */
  #takeBroadcasts (): PreparedBatch | undefined {
    const broadcasts = this.#broadcasts
    this.#broadcasts = undefined
    if (broadcasts !== undefined) this.#countSent(broadcasts.count)
    return broadcasts
  }

  #isOverfull (): boolean {
    const { maxBufferedBytes } = this.#owner.limits
    if (
      this.bufferedBytes - this.#heldBytes + this.#waitingWrites * WRITE_OVERHEAD <=
      maxBufferedBytes
    ) {
      return false
    }
    // What waits for the end of its tick does not wait for the peer. Other streams than sockets may
    // run somebody's code when they are written to.
    if (this.socket instanceof Socket) this.flush()
    return this.#isBehind()
  }

  /** True: these messages are not to be sent. */
  #meetSlowPeer (count: number): true {
    if (this.#owner.limits.slowPeer === 'drop') this.drop(count)
    else this.#owner.slowPeer(this.bufferedBytes)
    return true
  }

  #sendAside (frame: OutgoingFrame): boolean {
    const mustWait = this.#open && this.#waits && (this.#held !== undefined || this.#isOverfull())
    return mustWait ? this.#hold(new PreparedMessage(frame)) : this.send(frame)
  }

  #add ({ opcode, data }: OutgoingFrame): void {
    if (opcode !== 'ping') this.#countSent(1)
    const deflates = this.windowBits !== undefined && opcode !== 'ping' &&
      Buffer.byteLength(data) >= MIN_DEFLATED_BYTES
    if (deflates) this.#addFrame(FIRST_BYTES[opcode] | RSV1, deflateMessage(data, this.windowBits))
    else this.#addFrame(FIRST_BYTES[opcode], data)
  }

  #addFrame (firstByte: number, data: string | Uint8Array): void {
    const { batcher } = this.#owner.sharing
    const broadcasts = this.#takeBroadcasts()
    if (broadcasts !== undefined) batcher.addFramed(this, broadcasts.bytes)
    if (typeof data === 'string') batcher.addText(this, firstByte, data)
    else batcher.addBytes(this, firstByte, data)
  }

  #broadcast (message: PreparedMessage): void {
    const own = this.#owner.sharing.batcher.lengthOf(this) > 0
    // The first of a tick is judged at its end: most often it is the only one.
    if (!this.#waits && (own || this.#scheduled) && this.#isOverfull()) this.#refuseBroadcast()
    else this.#take(message)
  }

  #take (message: PreparedMessage): void {
    const frame = message.frame(this.windowBits)
    const { batcher } = this.#owner.sharing
    const own = batcher.lengthOf(this) > 0
    const isSocket = this.socket instanceof Socket
    if (own && this.#broadcasts === undefined && isSocket) {
      this.#countSent(1)
      return batcher.addFramed(this, frame.bytes)
    }
    if (
      isSocket &&
      this.#broadcasts !== undefined &&
      this.#broadcasts.length + frame.bytes.length > MAX_BATCH_BYTES
    ) {
      this.flush()
    }
    this.#broadcasts = this.#broadcasts?.and(frame) ?? frame.batch
    this.#schedule()
  }

  #refuseBroadcast (): void {
    if (this.#owner.limits.slowPeer === 'drop') this.drop(1)
    else {
      this.#isSlow = true
      this.#schedule()
    }
  }

  #schedule (): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#owner.sharing.loop.atEndOfTick(this)
  }

  /** False when as many wait as may. */
  #hold (message: PreparedMessage): boolean {
    const { maxMailboxLength, maxMailboxBytes } = this.#owner.limits
    const isFull =
      (this.#held?.length ?? 0) >= maxMailboxLength || this.#heldBytes >= maxMailboxBytes
    if (isFull) this.#owner.messageRefused()
    else this.#keep(message)
    return !isFull
  }

  #keep (message: PreparedMessage): void {
    (this.#held ??= []).push(message)
    this.#heldBytes += message.frame(this.windowBits).bytes.length
    this.#awaitWrite()
  }

  #takeHeld (): void {
    for (const message of this.#held ?? []) this.#take(message)
    this.#held = undefined
    this.#heldBytes = 0
  }

  /** Sends held broadcasts while there is room. */
  #release (): void {
    const held = this.#held ?? []
    let sent = 0
    while (sent < held.length && !this.#isOverfull()) {
      const message = held[sent++] as PreparedMessage
      this.#heldBytes -= message.frame(this.windowBits).bytes.length
      this.#take(message)
    }
    this.#held = sent < held.length ? held.slice(sent) : undefined
  }

  /** Asks the socket for a call when the waiting bytes have been sent. */
  #awaitWrite (): void {
    // An empty write behind the one that is on its way, which has no callback.
    if (this.#waitingWrites === 0) this.socket.write('', this.#countWrite(true))
  }

  /** A write has left, or never will. */
  #writeSent (): void {
    this.#waitingWrites--
    const isAwaited =
      this.#held !== undefined || this.#waiters !== undefined || this.#toldOfSlowPeer
    if (!this.#open || !isAwaited) return
    if (this.#held !== undefined && this.#isHalfEmpty) this.#release()
    this.flush()
    if (this.#held !== undefined || !this.#isHalfEmpty) return this.#awaitWrite()
    this.#forgetSlowPeer()
    this.#resolveWaiters(true)
  }

  #resolveWaiters (drained: boolean): void {
    const waiters = this.#waiters
    this.#waiters = undefined
    for (const resolve of waiters ?? []) resolve(drained)
  }

  /** Gives the callback of a write that waits. One that the kernel takes at once needs none. */
  #countWrite (always = false): (() => void) | undefined {
    const pongs = this.#pongs
    const batched = pongs?.batched ?? 0
    if (pongs !== undefined) pongs.batched = 0
    if (!always && this.socket.writableLength === 0) return undefined
    this.#waitingWrites++
    if (pongs !== undefined) pongs.written += batched
    return () => {
      if (pongs !== undefined) pongs.written -= batched
      this.#writeSent()
    }
  }
}
