import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EventLoop, TickTask } from '../event-loop.ts'
import { MAX_HEADER_BYTES, writeHeader } from '../protocol/frame-header.ts'
import { writeUtf8 } from '../protocol/short-text.ts'

/** A connection whose frames are batched. */
export interface BatchWriter {
  readonly socket: Duplex
  /** Hands bytes to the socket. */
  write (bytes: Uint8Array): void
}

/** Bytes that are batched at most. A larger frame is written by itself, and is not copied. */
export const MAX_BATCH_BYTES = 64 * 1024

/** Batches up to this length are most of those that there are. */
const MAX_VIEWED_BYTES = 512

/**
 * Puts the frames that one connection sends in one go side by side into one buffer, which all
 * connections of an app share, so that they cost one write.
 *
 * A batch ends with the read or the tick that it began in, or when another connection begins one.
 */
export class WriteBatcher implements TickTask {
  readonly #loop: EventLoop
  #bytes = Buffer.allocUnsafeSlow(MAX_BATCH_BYTES)
  /** Views of its first bytes, by their number: making one takes longer than filling it. */
  #views: Array<Buffer | undefined> = []
  /** The batch: `#bytes[#start, #end)`. Before it are bytes that sockets have not sent yet. */
  #start = 0
  #end = 0
  #writer: BatchWriter | undefined
  #reads = 0
  #scheduled = false

  constructor (loop: EventLoop) {
    this.#loop = loop
  }

  /** Bytes of that writer that wait here. */
  lengthOf (writer: BatchWriter): number {
    return this.#writer === writer ? this.#end - this.#start : 0
  }

  /** What is added from here to `endRead` is written then. */
  beginRead (): void { this.#reads++ }

  endRead (): void {
    this.#reads--
    this.flush()
  }

  endTick (): void {
    this.#scheduled = false
    this.flush()
  }

  /** Adds a text frame. */
  addText (writer: BatchWriter, firstByte: number, text: string): void {
    // One UTF-16 unit is at most three bytes.
    const most = text.length * 3 + MAX_HEADER_BYTES
    if (most > MAX_BATCH_BYTES) return this.addBytes(writer, firstByte, Buffer.from(text))
    this.#reserve(writer, most)
    const at = this.#end
    // Most text is ASCII, so its length tells that of the header; where it does not, the text
    // moves.
    let payloadAt = at + (text.length < 126 ? 2 : 4)
    const length = writeUtf8(this.#bytes, text, payloadAt)
    if (length >= 126 && text.length < 126) {
      this.#bytes.copyWithin(at + 4, payloadAt, payloadAt + length)
      payloadAt = at + 4
    }
    writeHeader(this.#bytes, at, firstByte, length)
    this.#end = payloadAt + length
  }

  /** Adds a frame of any kind. */
  addBytes (writer: BatchWriter, firstByte: number, data: Uint8Array): void {
    const whole = data.length + MAX_HEADER_BYTES <= MAX_BATCH_BYTES
    this.#reserve(writer, MAX_HEADER_BYTES + (whole ? data.length : 0))
    this.#end = writeHeader(this.#bytes, this.#end, firstByte, data.length)
    if (whole) this.#append(data)
    else this.#writeBehind(writer, data)
  }

  /** Adds frames that have their headers. */
  addFramed (writer: BatchWriter, frames: Uint8Array): void {
    const whole = frames.length <= MAX_BATCH_BYTES
    this.#reserve(writer, whole ? frames.length : 0)
    if (whole) this.#append(frames)
    else this.#writeBehind(writer, frames)
  }

  /** Writes the batch of any connection. */
  flush (): void {
    const [writer, start, end] = [this.#writer, this.#start, this.#end]
    this.#writer = undefined
    if (writer === undefined || start === end) return
    // Before the write: a stream may deliver within it, and what comes of that is batched behind.
    this.#start = end
    const batch = this.#bytes
    if (
      this.#isTaken(writer, this.#view(start, end)) &&
      this.#end === end &&
      this.#bytes === batch
    ) {
      // The bytes have been sent: reuse the same memory, which is still in the CPU cache.
      this.#start = this.#end = start
    }
  }

  #view (start: number, end: number): Buffer {
    if (start > 0 || end > MAX_VIEWED_BYTES) return this.#bytes.subarray(start, end)
    return (this.#views[end] ??= this.#bytes.subarray(0, end))
  }

  /** Writes bytes. False when the socket keeps a view of them. */
  #isTaken (writer: BatchWriter, bytes: Buffer): boolean {
    const { socket } = writer
    // Bytes that wait must not keep the whole buffer. Only a socket tells whether it has sent them.
    const copied = socket.writableLength > 0 || !(socket instanceof Socket)
    writer.write(copied ? Uint8Array.prototype.slice.call(bytes) : bytes)
    return copied || socket.writableLength === 0
  }

  #append (data: Uint8Array): void {
    this.#bytes.set(data, this.#end)
    this.#end += data.length
  }

  /** Writes what is too large to be copied, behind the batch and in one system call with it. */
  #writeBehind (writer: BatchWriter, data: Uint8Array): void {
    writer.socket.cork()
    this.flush()
    writer.write(data)
    writer.socket.uncork()
  }

  /** Makes room in a batch of that writer. */
  #reserve (writer: BatchWriter, length: number): void {
    while (this.#writer !== writer || MAX_BATCH_BYTES - this.#end < length) {
      // What comes of a flush may have begun a batch, too.
      if (this.#writer === undefined) this.#open(writer, length)
      else this.flush()
    }
  }

  #open (writer: BatchWriter, length: number): void {
    this.#writer = writer
    if (MAX_BATCH_BYTES - this.#end < length) {
      this.#bytes = Buffer.allocUnsafeSlow(MAX_BATCH_BYTES)
      this.#views = []
      this.#start = this.#end = 0
    }
    if (this.#reads > 0 || this.#scheduled) return
    this.#scheduled = true
    this.#loop.atEndOfTick(this)
  }
}
