import { constants, deflateRawSync } from 'node:zlib'
import type { OutgoingFrame } from '../wire/frame.ts'
import { FIRST_BYTES, MAX_HEADER, writeHeader } from './frame-header.ts'

/** Smaller messages are not compressed. */
export const MIN_DEFLATED_BYTES = 1024

/** The first reserved bit says that a message is compressed (RFC 7692 §6). */
const COMPRESSED = 0x40

/** A frame for many: encoded once, and framed once. */
export class SharedFrame {
  readonly opcode: OutgoingFrame['opcode']
  /** Header and payload, for sockets that are written without ws. */
  readonly bytes: Buffer
  /** For ws, which frames it itself. */
  readonly payload: Buffer
  #deflated: Buffer | undefined

  constructor ({ opcode, data }: OutgoingFrame) {
    const length = Buffer.byteLength(data)
    const [bytes, payloadAt] = allocateFrame(FIRST_BYTES[opcode], length)
    if (typeof data === 'string') bytes.write(data, payloadAt)
    else bytes.set(data, payloadAt)
    this.opcode = opcode
    this.bytes = bytes
    this.payload = bytes.subarray(payloadAt)
  }

  /**
   * The same for sockets of permessage-deflate without context takeover, in a window of 32 KiB: deflated once for all of them,
   * and at once, because what is sent to one of them next must not overtake it.
   */
  get deflated (): Buffer {
    if (this.payload.length < MIN_DEFLATED_BYTES) return this.bytes
    return (this.#deflated ??= this.#deflate())
  }

  #deflate (): Buffer {
    // Without the empty block at its end (RFC 7692 §7.2.1).
    const data = deflateRawSync(this.payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
    const [bytes, payloadAt] = allocateFrame(FIRST_BYTES[this.opcode] | COMPRESSED, data.length)
    bytes.set(data, payloadAt)
    return bytes
  }
}

/**
 * Shared frames that are sent one after the other in one tick, as one piece. Who is sent the same has the same batch: so it is
 * joined once, and nobody keeps a list.
 */
export class FrameBatch {
  /** Bytes of all. */
  readonly length: number
  readonly #last: SharedFrame
  readonly #before: FrameBatch | undefined
  #next: FrameBatch | undefined
  #joined: Buffer | undefined

  private constructor (last: SharedFrame, before: FrameBatch | undefined) {
    this.#last = last
    this.#before = before
    this.length = (before?.length ?? 0) + last.bytes.length
  }

  /**
   * The batch that begins with a frame. Remembered until the end of the tick, and not by the frame: that may wait long in a
   * slow peer's mailbox, and would keep all that came behind it.
   */
  static of (frame: SharedFrame): FrameBatch {
    if (first === undefined || first.#last !== frame) first = new FrameBatch(frame, undefined)
    return first
  }

  /** The batch that goes on with a frame. Receivers come one after the other for each frame, so the latest one is remembered. */
  and (frame: SharedFrame): FrameBatch {
    if (this.#next === undefined || this.#next.#last !== frame) this.#next = new FrameBatch(frame, this)
    return this.#next
  }

  get bytes (): Buffer {
    return this.#before === undefined ? this.#last.bytes : (this.#joined ??= Buffer.concat(this.#parts(), this.length))
  }

  #parts (): Buffer[] {
    const parts = [this.#last.bytes]
    for (let batch = this.#before; batch !== undefined; batch = batch.#before) parts.push(batch.#last.bytes)
    return parts.reverse()
  }
}

/** A frame's bytes with their header, and where the payload goes. Of its own: a slow reader would keep all of Node's pool. */
function allocateFrame (firstByte: number, length: number): [bytes: Buffer, payloadAt: number] {
  const bytes = Buffer.allocUnsafeSlow(MAX_HEADER + length)
  const payloadAt = writeHeader(bytes, 0, firstByte, length)
  return [bytes.subarray(0, payloadAt + length), payloadAt]
}

/** Who has a batch that waits for the end of the tick. */
export interface SharedWriter {
  flushShared (): void
}

let writers: SharedWriter[] = []
let first: FrameBatch | undefined

/** Calls `flushShared` at the end of this tick. */
export function flushAtEndOfTick (writer: SharedWriter): void {
  if (writers.push(writer) === 1) process.nextTick(flushAll)
}

function flushAll (): void {
  const due = writers
  writers = []
  first = undefined
  for (const writer of due) writer.flushShared()
}
