import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TickTask } from '../event-loop.ts'
import { deflateMessage } from '../protocol/deflate.ts'
import { FIRST_BYTES, RSV1 } from '../protocol/frame-header.ts'
import type { Deflate } from '../wire/deflate.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { PreparedBatch } from './prepared-batch.ts'
import { PreparedMessage } from './prepared-message.ts'
import type { SendQueueOwner } from './send-queue-owner.ts'
import { MAX_BATCH_BYTES, type BatchWriter } from './write-batcher.ts'

/** Numbers of pongs behind unsent bytes: in the batch, and written to the socket. */
interface UnreadPongs {
  batched: number
  written: number
}

/** Memory of a waiting write besides its bytes: two buffers and two entries of Node's queue. */
const WRITE_OVERHEAD = 256

/** Limit of unread pongs, as in ws: 128 KiB of pongs of maximum size. */
const MAX_UNREAD_PONGS = 1024

/**
 * Everything that one connection sends, in order: results, broadcasts, pongs, the close frame.
 *
 * Bytes wait in one of two places: in the batch of their tick, and then in the socket. Broadcasts
 * are kept as references in `#broadcasts`; when another frame follows, they are copied in front of
 * it. With `slowPeer: 'wait'`, broadcasts for a peer that is behind wait in `#held`.
 */
export class SendQueue implements BatchWriter, TickTask {
  /** Messages dropped so far (`slowPeer: 'drop'`). */
  droppedMessages = 0
  /** Messages and bytes written to the socket so far. */
  messagesSent = 0
  bytesSent = 0
  readonly socket: Duplex
  readonly #owner: SendQueueOwner
  /** Undefined when permessage-deflate was not negotiated. */
  readonly deflate: Deflate | undefined
  #open = true
  #broadcasts: PreparedBatch | undefined
  #scheduled = false
  /** A broadcast was refused in this tick (`slowPeer: 'close'`). */
  #isSlow = false
  /** The owner has been notified that the peer is slow. */
  #isReportedSlow = false
  #held: PreparedMessage[] | undefined
  #heldBytes = 0
  /** Number of writes that were made behind unsent bytes, and are not sent yet. */
  #waitingWrites = 0
  #pongs: UnreadPongs | undefined
  #waiters: Array<(drained: boolean) => void> | undefined

  constructor (socket: Duplex, owner: SendQueueOwner, deflate: Deflate | undefined) {
    this.socket = socket
    this.#owner = owner
    this.deflate = deflate
  }

  /** True while frames are accepted: neither side has closed, and the socket is writable. */
  get open (): boolean { return this.#open }

  /** Bytes that were accepted and have not been sent. */
  get bufferedBytes (): number {
    return this.socket.writableLength + this.#owner.sharing.batcher.lengthOf(this) +
      (this.#broadcasts?.length ?? 0) + this.#heldBytes
  }

  /** With `slowPeer: 'wait'`: no other letter may be handled before `drained` resolves. */
  get overHighWaterMark (): boolean {
    return this.#waits && this.#open && this.#isOverfull()
  }

  /**
   * Sends a message or a ping from the handler. Returns false when it is not sent: the connection
   * is closing, or more than `maxBufferedBytes` wait. So a peer that never reads costs at most that
   * limit and one message; with `wait`, that limit and one result.
   */
  send (frame: OutgoingFrame): boolean {
    if (!this.#open || (!this.#waits && this.#isOverfull() && this.#refuseSlowPeer(1))) return false
    // Queued behind the broadcasts that wait for the peer.
    if (this.#held !== undefined) this.#keep(new PreparedMessage(frame))
    else this.#add(frame)
    return true
  }

  /**
   * Sends messages that are not part of a callback's result. With `wait`, a message to a slow peer
   * waits like a broadcast, and counts towards the same limits.
   */
  sendAside (frames: OutgoingFrame | readonly OutgoingFrame[]): boolean {
    if (!Array.isArray(frames)) return this.#sendAside(frames as OutgoingFrame)
    let sent = true
    for (const frame of frames as readonly OutgoingFrame[]) sent = this.#sendAside(frame) && sent
    return sent
  }

  /** Sends a ping of the heartbeat, regardless of the limits. */
  ping (): void {
    if (this.#open) this.#addFrame(FIRST_BYTES.ping, '')
  }

  /** Answers a ping (RFC 6455 §5.5.3), regardless of the limits for messages. */
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
   * Sends a message that is sent to many connections. Runs no code of the application, so a
   * broadcast reaches all subscribers before anything else happens.
   */
  broadcast (message: PreparedMessage): void {
    if (!this.#open) return
    if (this.#waits && (this.#held !== undefined || this.#isOverfull())) this.#hold(message)
    else this.#broadcast(message)
  }

  /** Sends the close frame behind all accepted frames, and accepts no more. */
  close (payload: Uint8Array): void {
    if (!this.#open) return
    this.#takeHeld()
    this.#addFrame(FIRST_BYTES.close, payload)
    this.end()
  }

  /** Writes all accepted frames, and accepts no more. */
  end (): void {
    if (this.#open) this.#takeHeld()
    this.flush()
    this.stop()
  }

  /** Accepts no more frames, and drops waiting broadcasts. Written bytes are still sent. */
  stop (): void {
    this.#open = false
    this.#broadcasts = this.#held = undefined
    this.#heldBytes = 0
    this.#resolveWaiters(false)
    this.#reportCaughtUp()
  }

  /** Writes the frames that wait for the end of this tick. */
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
    this.#refuseSlowPeer(broadcasts?.count ?? 0)
  }

  /** Called by the batcher. */
  write (bytes: Uint8Array): void {
    this.bytesSent += bytes.length
    this.#owner.traffic.bytesSent += bytes.length
    this.socket.write(bytes, this.#countWrite())
  }

  /**
   * Resolves with true when at most half of `maxBufferedBytes` waits, and with false when the
   * connection ends before that.
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

  /**
   * True when more than `maxBufferedBytes` wait for the peer. Notifies the owner at the beginning
   * of this state.
   */
  #isBehind (): boolean {
    const isBehind = this.socket.writableLength + this.#waitingWrites * WRITE_OVERHEAD >
      this.#owner.limits.maxBufferedBytes
    if (isBehind && !this.#isReportedSlow) {
      this.#isReportedSlow = true
      this.#owner.peerIsSlow()
      this.#awaitWrite()
    }
    return isBehind
  }

  #reportCaughtUp (): void {
    if (!this.#isReportedSlow) return
    this.#isReportedSlow = false
    this.#owner.peerHasCaughtUp()
  }

  /** Counts dropped messages. */
  drop (messages: number): void {
    this.droppedMessages += messages
    this.#owner.traffic.messagesDropped += messages
  }

  #countSent (messages: number): void {
    this.messagesSent += messages
    this.#owner.traffic.messagesSent += messages
  }

  /** Removes and counts the broadcasts that are to be written now. */
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
    // Bytes that only wait for the end of the tick do not count. Only a socket of Node is flushed:
    // writing to another stream may run foreign code.
    if (this.socket instanceof Socket) this.flush()
    return this.#isBehind()
  }

  /** Drops the messages or closes the connection. Returns true: they must not be sent. */
  #refuseSlowPeer (count: number): true {
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
    const { deflate } = this
    const deflates = deflate !== undefined && opcode !== 'ping' &&
      Buffer.byteLength(data) >= deflate.threshold
    if (!deflates) this.#addFrame(FIRST_BYTES[opcode], data)
    else this.#addFrame(FIRST_BYTES[opcode] | RSV1, deflateMessage(data, deflate.windowBits))
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
    // The first broadcast of a tick is checked at the end of the tick: most often it is the only
    // one.
    if (!this.#waits && (own || this.#scheduled) && this.#isOverfull()) this.#refuseBroadcast()
    else this.#take(message)
  }

  #take (message: PreparedMessage): void {
    const frame = message.frame(this.deflate)
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

  /** Keeps a message until the peer has caught up. Returns false when the limits are reached. */
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
    this.#heldBytes += message.frame(this.deflate).bytes.length
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
      this.#heldBytes -= message.frame(this.deflate).bytes.length
      this.#take(message)
    }
    this.#held = sent < held.length ? held.slice(sent) : undefined
  }

  /** Calls `#writeSent` when the waiting bytes have been sent. */
  #awaitWrite (): void {
    // The pending write has no callback, so an empty write with one follows it.
    if (this.#waitingWrites === 0) this.socket.write('', this.#countWrite(true))
  }

  /** Handles a write that was sent or has failed. */
  #writeSent (): void {
    this.#waitingWrites--
    const isAwaited =
      this.#held !== undefined || this.#waiters !== undefined || this.#isReportedSlow
    if (!this.#open || !isAwaited) return
    if (this.#held !== undefined && this.#isHalfEmpty) this.#release()
    this.flush()
    if (this.#held !== undefined || !this.#isHalfEmpty) return this.#awaitWrite()
    this.#reportCaughtUp()
    this.#resolveWaiters(true)
  }

  #resolveWaiters (drained: boolean): void {
    const waiters = this.#waiters
    this.#waiters = undefined
    for (const resolve of waiters ?? []) resolve(drained)
  }

  /** Returns the callback for a waiting write. A write that the kernel takes at once needs none. */
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
