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

/** A frame's bytes with their header, and where the payload goes. Of its own: a slow reader would keep all of Node's pool. */
function allocateFrame (firstByte: number, length: number): [bytes: Buffer, payloadAt: number] {
  const bytes = Buffer.allocUnsafeSlow(MAX_HEADER + length)
  const payloadAt = writeHeader(bytes, 0, firstByte, length)
  return [bytes.subarray(0, payloadAt + length), payloadAt]
}
