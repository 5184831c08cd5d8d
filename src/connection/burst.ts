import type { Duplex } from 'node:stream'
import type { OutgoingFrame } from '../wire/frame.ts'
import { FIRST_BYTES, MAX_HEADER, writeHeader } from './frame-header.ts'
import { atEndOfTurn, type Task } from './turn.ts'
import { TurnPolicy } from './turn-policy.ts'

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

/** Answers to so many reads wait for each other at most, and only behind short ones, */
const MAX_READS = 32
const SHORT_READ = 4096

/** and none for longer than this and one read: it would feel what the handlers of others do. */
const MAX_WAIT_MS = 0.25

/**
 * Frames of one connection that are sent in one go, side by side in one buffer, so that they cost one write.
 *
 * A burst ends with its tick, or with its read. Those of the reads of one turn of the event loop are written when all have
 * been handled: the code that handles messages and the kernel's that sends them do not fit into the processor's cache together.
 */
class Burst implements Task {
  #bytes = Buffer.allocUnsafeSlow(SIZE)
  /** Before it are bytes that a socket has not sent yet. From here on it is one burst behind the other. */
  #start = 0
  #end = 0
  /** Whose those are that have ended, and where. */
  readonly #writers: Writer[] = []
  readonly #ends: number[] = []
  /** Whose the last one is, which goes on. */
  #writer: Writer | undefined
  #from = 0
  #scheduled = false
  #reading = false
  /** The answer to this read may come behind its end. */
  #expecting = false
  #since = 0
  /** The end of this turn is waited for. */
  #inTurn = false
  readonly #policy = new TurnPolicy()

  /** Nothing waits. */
  get empty (): boolean { return this.#end === this.#start }

  /** Bytes of that writer that wait. */
  lengthOf (writer: Writer): number {
    if (this.empty) return 0
    let length = this.#writer === writer ? this.#end - this.#from : 0
    let from = this.#start
    for (let i = 0; i < this.#writers.length; i++) {
      const end = this.#ends[i] as number
      if (this.#writers[i] === writer) length += end - from
      from = end
    }
    return length
  }

  add (writer: Writer, { opcode, data }: OutgoingFrame | Pong): void {
    if (this.#writer !== writer) this.#open(writer)
    if (typeof data !== 'string') this.#addBytes(writer, FIRST_BYTES[opcode], data)
    else if (data.length * 3 + MAX_HEADER <= SIZE) this.#addText(FIRST_BYTES[opcode], data)
    else this.#addBytes(writer, FIRST_BYTES[opcode], Buffer.from(data))
  }

  /** Sends what waits of that writer, and what waits before it. */
  flush (writer: Writer): void {
    if (this.lengthOf(writer) > 0) this.#flush()
  }

  /** Bytes of one connection have come: from here to `endRead` is one tick. */
  beginRead (length: number): void {
    this.#reading = true
    if (!this.#policy.waits) return
    if (this.#writers.length === 0) this.#since = performance.now()
    else if (length > SHORT_READ) this.#flush()
  }

  /** What has been read is handled asynchronously: the answer waits as any other, if it comes in this turn. */
  expectAnswer (): void {
    this.#expecting = this.#reading && this.#policy.waits
  }

  endRead (): void {
    this.#reading = false
    if (!this.#policy.waits) {
      this.#policy.countAtOnce()
      this.#flush()
    }
    this.#endBurst()
    if (this.#expecting || this.#writers.length > 0) this.#waitForTurn()
    this.#expecting = false
  }

  #waitForTurn (): void {
    this.#policy.countWaiting()
    if (this.#inTurn) return
    this.#inTurn = true
    atEndOfTurn(this)
  }

  /** It waits for the end of the turn, unless it cannot wait. */
  #endBurst (): void {
    this.#close()
    if (this.#writers.length >= MAX_READS || (this.#writers.length > 0 && performance.now() - this.#since > MAX_WAIT_MS)) this.#flush()
  }

  /** Ends the burst that goes on. */
  #close (): void {
    if (this.#writer !== undefined && this.#end > this.#from) {
      this.#writers.push(this.#writer)
      this.#ends.push(this.#end)
    }
    this.#writer = undefined
  }

  #open (writer: Writer): void {
    // In a tick that is no read, as that of many infos, the others' handlers run before its end.
    if (this.#reading) this.#close()
    else this.#endBurst()
    this.#writer = writer
    this.#from = this.#end
    if (this.#reading) return
    // In a turn that is waited for the read's own time counts: an async handler may have taken long before it gave its answer.
    if (this.#writers.length === 0 && !this.#inTurn) this.#since = performance.now()
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(this.#endTick)
  }

  readonly #endTick = (): void => {
    this.#scheduled = false
    if (!this.#inTurn) this.#flush()
    this.#endBurst()
  }

  endTurn (): void {
    this.#inTurn = false
    this.#policy.turnEnded(this.#writers.length === 0 ? 0 : performance.now() - this.#since)
    this.#flush()
  }

  #flush (): void {
    const writer = this.#writer
    this.#close()
    this.#writer = writer
    let from = this.#start
    let gone = true
    for (let i = 0; i < this.#writers.length; i++) {
      const end = this.#ends[i] as number
      gone = this.#write(this.#writers[i] as Writer, this.#bytes.subarray(from, end)) && gone
      from = end
    }
    this.#writers.length = this.#ends.length = 0
    // All of it is the kernel's, as nearly always: so the same bytes again, which the cache still has.
    if (gone) this.#end = this.#start
    else this.#start = this.#end
    this.#from = this.#end
  }

  /** False when the socket has kept the bytes. */
  #write (writer: Writer, bytes: Buffer): boolean {
    if (writer.socket.writableLength > 0) {
      // They will wait there: as a view they would keep the whole buffer.
      writer.write(Uint8Array.prototype.slice.call(bytes))
      return true
    }
    writer.write(bytes)
    return writer.socket.writableLength === 0
  }

  #reserve (length: number): void {
    if (SIZE - this.#end >= length) return
    this.#flush()
    if (SIZE - this.#start >= length) return
    this.#bytes = Buffer.allocUnsafeSlow(SIZE)
    this.#start = this.#end = this.#from = 0
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
