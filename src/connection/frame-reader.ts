import { isUtf8 } from 'node:buffer'
import { unmask } from './unmask.ts'

/** What stands in the second half of a frame's first byte (RFC 6455 §5.2). */
export const OPCODES = { close: 8, ping: 9, pong: 10 } as const

type ControlOpcode = typeof OPCODES[keyof typeof OPCODES]

/**
 * Reads the plain frames of a stream: final, masked, whole in one chunk, with nothing wrong. Everything else it hands on, byte for
 * byte and in its place: fragments, what is longer than its chunk, all that is wrong, and control frames that are not taken.
 *
 * It keeps no payload, so whoever is handed the rest always stands where the stream stands.
 */
export abstract class FrameReader {
  /** Bytes to come of the frame that is being handed on. */
  #left = 0
  /** That frame is the last of a data message, or says that none will come. */
  #completes = false
  #fragmented = false
  /** They are handed on, and say too little of the frame that they begin. */
  #beginning: Buffer | undefined
  /** `theirs`: all that follows is handed on. `none`: nobody reads. */
  #mode: 'ours' | 'theirs' | 'none' = 'ours'

  /** Longer messages are handed on. */
  protected abstract readonly maxMessageBytes: number
  /** Data messages so far, those included that came of what was handed on. */
  protected abstract readonly messagesRead: number
  protected abstract takeText (text: string, bytes: number): void
  /** A view into the chunk. */
  protected abstract takeBinary (data: Buffer): void
  /** False: it is to be handed on. */
  protected abstract takeControl (opcode: ControlOpcode, data: Buffer): boolean
  protected abstract hand (bytes: Buffer): void

  get reading (): boolean {
    return this.#mode !== 'none'
  }

  /** Nothing that still comes is of interest. */
  stop (): void {
    this.#mode = 'none'
  }

  read (chunk: Buffer): void {
    if (this.#mode === 'none') return
    let handled = 0
    let at = 0
    if (this.#beginning !== undefined) this.#continueHeader(this.#beginning, chunk)
    while (this.#mode === 'ours' && this.#beginning === undefined) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at)
        at += step
        this.#left -= step
        if (this.#left > 0) break
        if (this.#completes) {
          if (!this.#handMessage(chunk, handled, at)) return
          handled = at
        }
      }
      if (at === chunk.length) break
      const end = this.#plainEnd(chunk, at)
      if (end === 0) this.#enter(chunk, at)
      else {
        if (handled < at) this.#hand(chunk, handled, at)
        handled = at
        if (this.#take(chunk, at, end)) handled = at = end
        else this.#enter(chunk, at)
      }
    }
    if (handled < chunk.length && this.reading) this.#hand(chunk, handled, chunk.length)
  }

  /** Where the plain frame that begins there ends, or 0: it is none. */
  #plainEnd (chunk: Buffer, at: number): number {
    const first = chunk[at] as number
    // Final, no reserved bits, a whole data message or a control frame; masked.
    if (this.#fragmented || at + 6 > chunk.length || (first !== 0x81 && first !== 0x82 && (first < 0x88 || first > 0x8a))) return 0
    const short = chunk[at + 1] as number - 0x80
    // Longer than 65 535 bytes: hardly in one chunk, for Node reads 64 KiB at once. A control frame has 125 at most (RFC 6455 §5.5).
    if (short < 0 || short > 126 || (short === 126 && first >= 0x88)) return 0
    const length = short < 126 ? short : chunk.readUInt16BE(at + 2)
    const end = at + (short < 126 ? 6 : 8) + length
    return end > chunk.length || length > this.maxMessageBytes ? 0 : end
  }

  /** Unmasks the plain frame and takes it. False: it is as it came, and to be handed on. */
  #take (chunk: Buffer, at: number, end: number): boolean {
    const first = chunk[at] as number
    const from = at + (chunk[at + 1] === 0xfe ? 8 : 6)
    const ascii = unmask(chunk, from, end)
    if (first === 0x82) this.takeBinary(chunk.subarray(from, end))
    else if (first === 0x81 && ascii) this.takeText(chunk.toString('latin1', from, end), end - from)
    else if (first === 0x81 && isUtf8(chunk.subarray(from, end))) this.takeText(chunk.toString('utf8', from, end), end - from)
    else if (first === 0x81 || !this.takeControl((first & 0x0f) as ControlOpcode, chunk.subarray(from, end))) {
      unmask(chunk, from, end)
      return false
    }
    return true
  }

  /** The frame that begins there is to be handed on: finds out where it ends. */
  #enter (bytes: Buffer, at: number): void {
    const size = sizeOf(bytes, at)
    if (size === undefined) this.#beginning = Buffer.from(bytes.subarray(at))
    else if (this.#isGood(bytes[at] as number, bytes[at + 1] as number)) this.#left = size
    else this.#mode = 'theirs'
  }

  #continueHeader (beginning: Buffer, chunk: Buffer): void {
    this.#beginning = undefined
    this.#enter(Buffer.concat([beginning, chunk.subarray(0, MAX_SIZE_HEADER)]), 0)
    if (this.#left > 0) this.#left -= beginning.length
  }

  /** False: the connection will fail because of this frame, and nothing that follows is a message. */
  #isGood (first: number, second: number): boolean {
    const opcode = first & 0x0f
    const final = first >= 0x80
    if ((first & 0x70) !== 0 || second < 0x80) return false
    if (opcode > 2) {
      this.#completes = opcode === OPCODES.close
      return opcode >= OPCODES.close && opcode <= OPCODES.pong && final && second <= 0x80 + 125
    }
    if ((opcode === 0) !== this.#fragmented) return false
    this.#fragmented = !final
    this.#completes = final
    return true
  }

  /** Hands on the end of a message. False when none came of it: it was wrong, or the peer has closed, and nobody reads any more. */
  #handMessage (chunk: Buffer, from: number, to: number): boolean {
    const before = this.messagesRead
    this.#hand(chunk, from, to)
    if (this.messagesRead === before) this.stop()
    return this.reading
  }

  #hand (chunk: Buffer, from: number, to: number): void {
    this.hand(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
  }
}

/** First two bytes, and eight of an extended length. */
const MAX_SIZE_HEADER = 10

/** Header and payload of the masked frame that begins there; undefined when its length is not all there. */
function sizeOf (bytes: Buffer, at: number): number | undefined {
  if (at + 2 > bytes.length) return undefined
  const short = (bytes[at + 1] as number) & 0x7f
  if (short < 126) return 6 + short
  if (short === 126) return at + 4 > bytes.length ? undefined : 8 + bytes.readUInt16BE(at + 2)
  return at + 10 > bytes.length ? undefined : 14 + bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6)
}
