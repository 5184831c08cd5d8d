import { isUtf8 } from 'node:buffer'
import { closeCodes } from '../wire/close-codes.ts'
import { InvalidClosing, readClosePayload } from './close-payload.ts'
import { inflateMessage, maxDeflatedBytes } from './deflate.ts'
import { FIN, OPCODES, RSV1 } from './frame-header.ts'
import { GrowingBuffer } from './growing-buffer.ts'
import { readAscii } from './short-text.ts'
import { unmask } from './unmask.ts'

/** Receives the content that a {@link FrameParser} reads. No method may throw. */
export interface FrameSink {
  readonly limits: { readonly maxMessageBytes: number }
  /** permessage-deflate was negotiated. */
  readonly inflates: boolean
  /** True when `count` must be called. */
  readonly metered: boolean
  /** Counts complete frames and payload bytes, including those of unfinished frames. */
  count (frames: number, bytes: number): void
  /** A complete text message. `bytes`: its length in UTF-8. */
  receiveText (text: string, bytes: number): void
  /** A complete binary message. `data` may be a view into the chunk. */
  receiveBinary (data: Buffer): void
  /** A ping or pong. `data` is a view into the chunk. */
  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void
  /**
   * The peer's close frame. Nothing after it is parsed. `code` is 1005 for a frame without a code.
   */
  receiveClose (code: number, reason: string, payload: Buffer): void
  /**
   * The peer has violated the protocol. Nothing after that is parsed. `code`: the close code to
   * send.
   */
  fail (code: number, problem: string): void
}

/** A message whose last fragment has not arrived. */
interface FragmentedMessage {
  readonly opcode: number
  readonly isCompressed: boolean
  readonly fragments: GrowingBuffer
  count: number
}

/**
 * The limit of fragments per message: as many as a message of `maxMessageBytes` has with fragments
 * of this size, but at least MIN_MAX_FRAGMENTS. One more closes the connection with 1008.
 */
const MIN_FRAGMENT_BYTES = 64
const MIN_MAX_FRAGMENTS = 16_384

/**
 * Parses the frames of a client (RFC 6455 §5) from chunks of any size.
 *
 * A frame that lies completely in one chunk is not copied. Unfinished frames and messages take at
 * most twice the memory of the bytes received.
 */
export class FrameParser {
  readonly #sink: FrameSink
  #stopped = false
  /** An unfinished frame, from its first byte on. */
  #frame: GrowingBuffer | undefined
  /** Length of that frame, as far as the received part of its header tells it. */
  #frameBytes = 0
  /** Bytes of that frame that have been counted already. */
  #counted = 0
  #message: FragmentedMessage | undefined

  constructor (sink: FrameSink) {
    this.#sink = sink
  }

  /** True when nothing more is parsed: the peer has sent a close frame or violated the protocol. */
  get stopped (): boolean { return this.#stopped }

  stop (): void {
    this.#stopped = true
    this.#frame = undefined
    this.#message = undefined
  }

  /** Parses a chunk. A method of the sink must not call it. */
  push (chunk: Buffer): void {
    const from = this.#frame === undefined ? 0 : this.#finishFrame(this.#frame, chunk)
    if (this.#frame !== undefined || this.#stopped) return
    const at = this.#readFrames(chunk, from)
    if (at < chunk.length && !this.#stopped) this.#keep(chunk, at)
  }

  /** Reads all complete frames. Returns the position of the first incomplete one. */
  #readFrames (bytes: Buffer, from: number): number {
    let at = from
    while (bytes.length - at >= 2 && !this.#stopped) {
      const first = bytes[at] as number
      const second = bytes[at + 1] as number
      const isPlain =
        (first === 0x81 || first === 0x82) && second >= 0x80 && this.#message === undefined
      if (!isPlain && !this.#checkHeader(first, second)) return bytes.length
      let length = second & 0x7f
      let payloadAt = at + 6
      if (length >= 126) {
        const width = length === 126 ? 2 : 8
        payloadAt += width
        if (bytes.length < at + 2 + width) {
          this.#frameBytes = 2 + width
          return at
        }
        length = width === 2 ? bytes.readUInt16BE(at + 2) : readLength(bytes, at + 2)
      }
      const isChecked = isPlain ? length > this.#sink.limits.maxMessageBytes : (first & 0x08) === 0
      if (isChecked && !this.#checkLength(first, length)) return bytes.length
      const end = payloadAt + length
      if (end > bytes.length) {
        this.#frameBytes = end - at
        return at
      }
      this.#takeFrame(first, bytes, payloadAt, end)
      at = end
    }
    if (bytes.length - at < 2) this.#frameBytes = 2
    return this.#stopped ? bytes.length : at
  }

  #keep (chunk: Buffer, from: number): void {
    this.#frame = new GrowingBuffer()
    this.#append(this.#frame, chunk, from, chunk.length)
  }

  /** Adds the chunk's part of the unfinished frame. Returns the position of the next frame. */
  #finishFrame (frame: GrowingBuffer, chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && !this.#stopped) {
      const end = Math.min(chunk.length, at + this.#frameBytes - frame.length)
      this.#append(frame, chunk, at, end)
      at = end
      if (frame.length < this.#frameBytes) break
      // Either the frame is complete, or more of its header is known and `#frameBytes` grows.
      if (this.#readFrames(frame.view(), 0) === frame.length) {
        this.#frame = undefined
        break
      }
    }
    return at
  }

  #append (frame: GrowingBuffer, chunk: Buffer, from: number, to: number): void {
    frame.append(chunk, from, to, this.#frameBytes)
    if (!this.#sink.metered || frame.length === this.#frameBytes) return
    this.#counted += to - from
    this.#sink.count(0, to - from)
  }

  /** Checks the first two bytes of a frame. Returns false after a failure. */
  #checkHeader (first: number, second: number): boolean {
    const problem = this.#problemOf(first, second)
    if (problem !== undefined) this.#fail(closeCodes.protocolError, problem)
    return problem === undefined
  }

  #problemOf (first: number, second: number): string | undefined {
    const opcode = first & 0x0f
    if ((first & 0x30) !== 0) return 'RSV2 or RSV3 is set'
    if ((first & RSV1) !== 0 && !(this.#sink.inflates && isDataOpcode(opcode))) return 'RSV1 is set'
    if (second < 0x80) return 'a frame without a mask'
    if (isDataOpcode(opcode)) {
      return this.#message === undefined ? undefined : 'a message within a message'
    }
    if (opcode === OPCODES.continuation) {
      return this.#message === undefined ? 'a continuation without a message' : undefined
    }
    if (opcode < OPCODES.close || opcode > OPCODES.pong) return `the opcode ${opcode}`
    if ((first & FIN) === 0) return 'a fragmented control frame'
    if (opcode === OPCODES.close && second === 0x80 + 1) {
      return 'a close frame with one byte of payload'
    }
    return second > 0x80 + 125 ? 'a control frame with more than 125 bytes' : undefined
  }

  /** Checks the length of the message with this frame. Returns false after a failure. */
  #checkLength (first: number, length: number): boolean {
    const opcode = first & 0x0f
    const isCompressed =
      opcode === OPCODES.continuation ? this.#message?.isCompressed === true : (first & RSV1) !== 0
    const { maxMessageBytes } = this.#sink.limits
    const most = isCompressed ? maxDeflatedBytes(maxMessageBytes) : maxMessageBytes
    if ((this.#message?.fragments.length ?? 0) + length <= most) return true
    this.#failTooBig()
    return false
  }

  #takeFrame (first: number, bytes: Buffer, from: number, to: number): void {
    if (this.#sink.metered) {
      this.#sink.count(1, Math.max(0, to - from - this.#counted))
      this.#counted = 0
    }
    const ascii = unmask(bytes, from, to)
    const opcode = first & 0x0f
    if (opcode >= OPCODES.close) this.#takeControl(opcode, bytes.subarray(from, to))
    else if ((first & FIN) === 0 || opcode === OPCODES.continuation) {
      this.#takeFragment(first, bytes, from, to)
    } else if (first === 0x82) this.#sink.receiveBinary(bytes.subarray(from, to))
    else if (first === 0x81 && ascii) {
      this.#sink.receiveText(readAscii(bytes, from, to), to - from)
    } else this.#deliver(opcode, (first & RSV1) !== 0, bytes.subarray(from, to))
  }

  #takeFragment (first: number, bytes: Buffer, from: number, to: number): void {
    const { maxMessageBytes } = this.#sink.limits
    const message = (this.#message ??= {
      opcode: first & 0x0f,
      isCompressed: (first & RSV1) !== 0,
      fragments: new GrowingBuffer(),
      count: 0
    })
    message.fragments.append(bytes, from, to, maxDeflatedBytes(maxMessageBytes))
    const most = Math.max(MIN_MAX_FRAGMENTS, Math.ceil(maxMessageBytes / MIN_FRAGMENT_BYTES))
    if (++message.count > most) {
      return this.#fail(closeCodes.policyViolation, `a message of more than ${most} fragments`)
    }
    if ((first & FIN) === 0) return
    this.#message = undefined
    this.#deliver(message.opcode, message.isCompressed, message.fragments.view())
  }

  #takeControl (opcode: number, payload: Buffer): void {
    if (opcode !== OPCODES.close) {
      return this.#sink.receiveControl(opcode === OPCODES.ping ? 'ping' : 'pong', payload)
    }
    const closing = readClosePayload(payload)
    if (closing instanceof InvalidClosing) return this.#fail(closing.code, closing.problem)
    this.stop()
    this.#sink.receiveClose(closing.code, closing.reason, payload)
  }

  #deliver (opcode: number, compressed: boolean, payload: Buffer): void {
    const data = compressed ? inflateMessage(payload, this.#sink.limits.maxMessageBytes) : payload
    if (data === 'too big') this.#failTooBig()
    else if (data === 'invalid') {
      this.#fail(closeCodes.invalidPayload, 'a message that cannot be inflated')
    } else if (opcode === OPCODES.binary) this.#sink.receiveBinary(data)
    else this.#deliverText(data)
  }

  #deliverText (data: Buffer): void {
    if (isUtf8(data)) this.#sink.receiveText(data.toString(), data.length)
    else this.#fail(closeCodes.invalidPayload, 'a text message that is not UTF-8')
  }

  #failTooBig (): void {
    const { maxMessageBytes } = this.#sink.limits
    this.#fail(closeCodes.messageTooBig, `a message of more than ${maxMessageBytes} bytes`)
  }

  #fail (code: number, problem: string): void {
    this.stop()
    this.#sink.fail(code, problem)
  }
}

function isDataOpcode (opcode: number): boolean {
  return opcode === OPCODES.text || opcode === OPCODES.binary
}

/**
 * Reads an extended length of eight bytes. Returns Infinity for numbers that a double cannot hold
 * exactly.
 */
function readLength (bytes: Buffer, at: number): number {
  const high = bytes.readUInt32BE(at)
  return high > 0x1fffff ? Infinity : high * 2 ** 32 + bytes.readUInt32BE(at + 4)
}
