import { randomBytes } from 'node:crypto'
import {
  FIN,
  FIRST_BYTES,
  MAX_HEADER_BYTES,
  OPCODES,
  writeHeader
} from '../protocol/frame-header.ts'
import { unmask } from '../protocol/unmask.ts'

export type FrameKind = keyof typeof FIRST_BYTES

export interface WholeFrame {
  readonly kind: FrameKind
  readonly payload: Buffer
}

/** Builds one frame as a client sends it, masked (RFC 6455 §5.3). */
export function buildClientFrame (kind: FrameKind, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(MAX_HEADER_BYTES + 4 + payload.length)
  const at = writeHeader(frame, 0, FIRST_BYTES[kind], payload.length)
  frame[1] = (frame[1] as number) | 0x80
  randomBytes(4).copy(frame, at)
  frame.set(payload, at + 4)
  const end = at + 4 + payload.length
  // Masking and unmasking are the same operation.
  unmask(frame, at + 4, end)
  return frame.subarray(0, end)
}

/**
 * Parses the frames of a server, without extensions. The parser of `protocol/` parses the frames of
 * clients and refuses unmasked frames.
 */
export class ServerFrames {
  #bytes: Buffer = Buffer.alloc(0)
  #message: { readonly opcode: number, readonly fragments: Buffer[] } | undefined

  /**
   * Returns the frames that the chunk completes, fragments put together. Throws for a frame that no
   * server may send.
   */
  push (chunk: Buffer): WholeFrame[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    const frames: WholeFrame[] = []
    for (let frame; (frame = this.#shift()) !== undefined;) {
      const whole = this.#assemble(frame.first, frame.payload)
      if (whole !== undefined) frames.push(whole)
    }
    return frames
  }

  #shift (): { first: number, payload: Buffer } | undefined {
    const bytes = this.#bytes
    if (bytes.length < 2) return
    const [first = 0, second = 0] = bytes
    if ((first & 0x70) !== 0) throw new Error('a frame with a reserved bit')
    if (second >= 0x80) throw new Error('a frame that is masked')
    const width = second === 127 ? 8 : second === 126 ? 2 : 0
    const at = 2 + width
    if (bytes.length < at) return
    const length =
      width === 8 ? Number(bytes.readBigUInt64BE(2)) : width === 2 ? bytes.readUInt16BE(2) : second
    if (bytes.length < at + length) return
    this.#bytes = bytes.subarray(at + length)
    return { first, payload: bytes.subarray(at, at + length) }
  }

  #assemble (first: number, payload: Buffer): WholeFrame | undefined {
    const opcode = first & 0x0f
    if (opcode >= OPCODES.close) {
      if (payload.length > 125 || (first & FIN) === 0) {
        throw new Error('a control frame that is too long, or a fragment')
      }
      if (opcode === OPCODES.close && payload.length === 1) {
        throw new Error('a close frame with one byte')
      }
      return { kind: kindOf(opcode), payload }
    }
    if ((opcode === OPCODES.continuation) === (this.#message === undefined)) {
      throw new Error('a fragment of no message')
    }
    this.#message ??= { opcode, fragments: [] }
    this.#message.fragments.push(payload)
    if ((first & FIN) === 0) return
    const { opcode: whole, fragments } = this.#message
    this.#message = undefined
    return { kind: kindOf(whole), payload: Buffer.concat(fragments) }
  }
}

function kindOf (opcode: number): FrameKind {
  const kind = (Object.keys(FIRST_BYTES) as FrameKind[]).find((name) => OPCODES[name] === opcode)
  if (kind === undefined) throw new Error(`a frame with the opcode ${opcode}`)
  return kind
}
