import { deflateMessage } from '../protocol/deflate.ts'
import { FIRST_BYTES, MAX_HEADER_BYTES, RSV1, writeHeader } from '../protocol/frame-header.ts'
import type { Deflate } from '../wire/deflate.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import { PreparedFrame } from './prepared-batch.ts'

/** A message for many connections: encoded, framed and compressed once. */
export class PreparedMessage {
  readonly #opcode: OutgoingFrame['opcode']
  readonly #payload: Buffer
  readonly #plain: PreparedFrame
  #deflated: Map<number, PreparedFrame> | undefined

  constructor ({ opcode, data }: OutgoingFrame) {
    const length = Buffer.byteLength(data)
    const [bytes, payloadAt] = allocateFrame(FIRST_BYTES[opcode], length)
    if (typeof data === 'string') bytes.write(data, payloadAt)
    else bytes.set(data, payloadAt)
    this.#opcode = opcode
    this.#payload = bytes.subarray(payloadAt)
    this.#plain = new PreparedFrame(bytes)
  }

  /** Returns the frame for one connection. `deflate`: undefined without permessage-deflate. */
  frame (deflate: Deflate | undefined): PreparedFrame {
    if (deflate === undefined || this.#payload.length < deflate.threshold) return this.#plain
    const { windowBits } = deflate
    this.#deflated ??= new Map()
    const frame = this.#deflated.get(windowBits) ?? this.#deflate(windowBits)
    this.#deflated.set(windowBits, frame)
    return frame
  }

  #deflate (windowBits: number): PreparedFrame {
    const data = deflateMessage(this.#payload, windowBits)
    const [bytes, payloadAt] = allocateFrame(FIRST_BYTES[this.#opcode] | RSV1, data.length)
    bytes.set(data, payloadAt)
    return new PreparedFrame(bytes)
  }
}

/** Allocates a frame and writes its header. Returns its bytes and the position of the payload. */
function allocateFrame (firstByte: number, length: number): [bytes: Buffer, payloadAt: number] {
  // Not from Node's pool: a slow reader would keep the whole pool.
  const bytes = Buffer.allocUnsafeSlow(MAX_HEADER_BYTES + length)
  const payloadAt = writeHeader(bytes, 0, firstByte, length)
  return [bytes.subarray(0, payloadAt + length), payloadAt]
}
