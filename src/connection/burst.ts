import type { Duplex } from 'node:stream'
import type { OutgoingFrame } from '../wire/frame.ts'
import { FIRST_BYTES, MAX_HEADER, writeHeader } from './frame-header.ts'

interface Pong {
  readonly opcode: 'pong'
  readonly data: Uint8Array
}

/** Who writes a burst. */
export interface Writer {
  /** Of node:net or node:tls: of any other stream nobody knows who still has the bytes when it has nothing left to send. */
  readonly socket: Duplex
  /** Hands bytes to the socket, now. */
  write (bytes: Uint8Array): void
}

/** What is sent at most before the end of a burst. A larger frame goes by itself, and is not copied. */
const SIZE = 64 * 1024

/**
 * Frames that one connection sends in one go, side by side in one buffer, so that they cost one write.
 *
 * There is one burst in a process: it ends with the tick, when it is full, or when another connection has something to
 * send. Reads are handled one connection after the other, so that seldom comes too early.
 */
class Burst {
  #bytes = Buffer.allocUnsafeSlow(SIZE)
  /** Before it are bytes that a socket has not sent yet. */
  #start = 0
  #end = 0
  #writer: Writer | undefined
  #scheduled = false
  #held = false

  /** Bytes of that writer that wait. */
  lengthOf (writer: Writer): number {
    return this.#writer === writer ? this.#end - this.#start : 0
  }

  add (writer: Writer, { opcode, data }: OutgoingFrame | Pong): void {
    if (this.#writer !== writer) this.#open(writer)
    if (typeof data !== 'string') this.#addBytes(writer, FIRST_BYTES[opcode], data)
    else if (data.length * 3 + MAX_HEADER <= SIZE) this.#addText(FIRST_BYTES[opcode], data)
    else this.#addBytes(writer, FIRST_BYTES[opcode], Buffer.from(data))
  }

  /** Sends what waits of that writer. */
  flush (writer: Writer): void {
    if (this.#writer === writer) this.#flush()
  }

  /** From here to `release` is one tick, so its end needs not be waited for. */
  hold (): void {
    this.#held = true
  }

  release (): void {
    this.#held = false
    this.#flush()
    this.#writer = undefined
  }

  #open (writer: Writer): void {
    this.#flush()
    this.#writer = writer
    if (this.#scheduled || this.#held) return
    this.#scheduled = true
    process.nextTick(this.#endTick)
  }

  readonly #endTick = (): void => {
    this.#scheduled = false
    this.#flush()
    this.#writer = undefined
  }

  #flush (): void {
    const writer = this.#writer
    if (writer === undefined || this.#end === this.#start) return
    const from = this.#start
    const bytes = this.#bytes.subarray(from, this.#end)
    if (writer.socket.writableLength > 0) {
      // It will wait there: as a view it would keep the whole buffer.
      this.#end = from
      writer.write(Uint8Array.prototype.slice.call(bytes))
      return
    }
    this.#start = this.#end
    writer.write(bytes)
    // All of it is the kernel's, as nearly always: so the same bytes again, which the cache still has.
    if (writer.socket.writableLength === 0) this.#start = this.#end = from
  }

  #reserve (length: number): void {
    if (SIZE - this.#end >= length) return
    this.#flush()
    if (SIZE - this.#start >= length) return
    this.#bytes = Buffer.allocUnsafeSlow(SIZE)
    this.#start = this.#end = 0
  }

  #addText (firstByte: number, text: string): void {
    this.#reserve(text.length * 3 + MAX_HEADER)
    const at = this.#end
    // Most text is ASCII, so its length tells that of the header; where it does not, the text moves up.
    let payloadAt = at + (text.length < 126 ? 2 : 4)
    const length = this.#bytes.write(text, payloadAt)
    if (length >= 126 && text.length < 126) {
      this.#bytes.copyWithin(at + 4, payloadAt, payloadAt + length)
      payloadAt = at + 4
    }
    writeHeader(this.#bytes, at, firstByte, length)
    this.#end = payloadAt + length
  }

  #addBytes (writer: Writer, firstByte: number, data: Uint8Array): void {
    const whole = data.length + MAX_HEADER <= SIZE
    this.#reserve(whole ? data.length + MAX_HEADER : MAX_HEADER)
    this.#end = writeHeader(this.#bytes, this.#end, firstByte, data.length)
    if (whole) {
      this.#bytes.set(data, this.#end)
      this.#end += data.length
    } else {
      writer.socket.cork()
      this.#flush()
      writer.write(data)
      writer.socket.uncork()
    }
  }
}

/** The one of this process. */
export const burst = new Burst()
