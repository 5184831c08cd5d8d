import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EventLoop, TickTask } from '../event-loop.ts'
import { MAX_HEADER_BYTES, writeHeader } from '../protocol/frame-header.ts'
import { writeUtf8 } from '../protocol/short-text.ts'

/** A connection that writes through the batcher. */
export interface BatchWriter {
  readonly socket: Duplex
  /** Writes bytes to the socket. */
  write (bytes: Uint8Array): void
}

/** Maximum size of a batch. A larger frame is written by itself, and is not copied. */
export const MAX_BATCH_BYTES = 64 * 1024

/** Most batches are not longer than this. */
const MAX_VIEWED_BYTES = 512

/**
 * Collects the frames that one connection sends in one read or tick in one buffer, so that they
 * cost one write. All connections of an app share the buffer.
 *
 * A batch ends with the read or tick that it began in, or when another connection begins one.
 */
export class WriteBatcher implements TickTask {
  readonly #loop: EventLoop
  #bytes = Buffer.allocUnsafeSlow(MAX_BATCH_BYTES)
  /**
   * Views of the first bytes of the buffer, by their length: creating a view takes longer than
   * filling it.
   */
  #views: Array<Buffer | undefined> = []
  /** The batch is `#bytes[#start, #end)`. The bytes before it may still wait in sockets. */
  #start = 0
  #end = 0
  #writer: BatchWriter | undefined
  #reads = 0
  #scheduled = false

  constructor (loop: EventLoop) {
    this.#loop = loop
  }

  /** Bytes of this writer in the current batch. */
  lengthOf (writer: BatchWriter): number {
    return this.#writer === writer ? this.#end - this.#start : 0
  }

  /** Begins a read: frames added until `endRead` are written there. */
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
    // A UTF-16 unit takes at most three bytes in UTF-8.
    const most = text.length * 3 + MAX_HEADER_BYTES
    if (most > MAX_BATCH_BYTES) return this.addBytes(writer, firstByte, Buffer.from(text))
    this.#reserve(writer, most)
    const at = this.#end
    // Most texts are ASCII, so the length predicts the size of the header. Where it does not, the
    // text is moved.
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

  /** Adds complete frames. */
  addFramed (writer: BatchWriter, frames: Uint8Array): void {
    const whole = frames.length <= MAX_BATCH_BYTES
    this.#reserve(writer, whole ? frames.length : 0)
    if (whole) this.#append(frames)
    else this.#writeBehind(writer, frames)
  }

  /** Writes the current batch, whichever connection it belongs to. */
  flush (): void {
    const [writer, start, end] = [this.#writer, this.#start, this.#end]
    this.#writer = undefined
    if (writer === undefined || start === end) return
    // Set before the write: a stream may emit data within it, and frames sent then are batched
    // behind.
    this.#start = end
    const batch = this.#bytes
    if (
      this.#write(writer, this.#view(start, end)) &&
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

  /** Writes bytes. Returns false when the socket keeps a view of them. */
  #write (writer: BatchWriter, bytes: Buffer): boolean {
    const { socket } = writer
    // Waiting bytes must not keep the whole buffer. Only a socket of Node tells whether it has sent
    // them.
    const copied = socket.writableLength > 0 || !(socket instanceof Socket)
    writer.write(copied ? Uint8Array.prototype.slice.call(bytes) : bytes)
    return copied || socket.writableLength === 0
  }

  #append (data: Uint8Array): void {
    this.#bytes.set(data, this.#end)
    this.#end += data.length
  }

  /** Writes bytes that are too large to copy, behind the batch and in one system call with it. */
  #writeBehind (writer: BatchWriter, data: Uint8Array): void {
    writer.socket.cork()
    this.flush()
    writer.write(data)
    writer.socket.uncork()
  }

  /** Ensures that the current batch belongs to this writer and has room. */
  #reserve (writer: BatchWriter, length: number): void {
    while (this.#writer !== writer || MAX_BATCH_BYTES - this.#end < length) {
      // A flush may run code that begins a batch, so the condition is checked again.
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
