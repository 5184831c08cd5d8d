import { isUtf8 } from 'node:buffer'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { burst } from './burst.ts'
import { unmask } from './unmask.ts'

/** Who is told of messages. None of these throws. */
export interface Listener {
  /** Messages so far, those included that ws has read. */
  readonly messagesRead: number
  /** Longer ones are ws's, which closes 1009. */
  readonly maxMessageBytes: number
  /** `bytes`: of the payload. */
  readText (text: string, bytes: number): void
  /** A view into what was read together. */
  readBinary (data: Buffer): void
  /** ws is about to read something, and may answer by itself: what waits to be written comes first. */
  flush (): void
}

type Give = (this: Duplex, chunk: Buffer) => void
type GiveEnd = (this: Duplex) => void

/** So that one function listens to all sockets. */
const kLane = Symbol('fastify-websock.fast-lane')
type Known = Duplex & { [kLane]: FastLane }

/**
 * Reads the plain frames itself: text or binary, final, masked, whole in one chunk. Everything else it hands to ws, byte
 * for byte and in its place: fragments, control frames, what is longer than its chunk, and all that is wrong.
 *
 * It keeps no payload, so ws always stands where the stream stands. Not for connections with an extension.
 */
export class FastLane {
  readonly #listener: Listener
  readonly #give: Give
  readonly #giveEnd: GiveEnd
  /** Bytes to come of the frame that ws is reading. */
  #left = 0
  /** That frame is the last of a data message, or says that none will come. */
  #completes = false
  #fragmented = false
  /** ws has these bytes, which say too little of the frame that they begin. */
  #beginning: Buffer | undefined
  /** `theirs`: ws reads all that follows. `none`: nobody does. */
  #mode: 'ours' | 'theirs' | 'none' = 'ours'

  /**
   * Takes the place of ws's own listeners of the socket; to be called in the tick of the 101. Undefined, and nothing done,
   * unless ws listens as expected: with one listener of `data`, which takes whatever part of the stream comes next, and one
   * of `end`, which is the last because it has just been added.
   *
   * Of sockets only: any other stream may deliver what the peer sends, or what is sent to it, within the call that writes,
   * and so in the midst of a chunk, or of another connection's burst.
   */
  static open (socket: Duplex, listener: Listener): FastLane | undefined {
    if (!(socket instanceof Socket)) return undefined
    const [give, ...others] = socket.listeners('data') as Give[]
    const giveEnd = socket.listeners('end').at(-1) as GiveEnd | undefined
    if (give === undefined || others.length > 0 || giveEnd === undefined) return undefined
    const lane = new FastLane(listener, give, giveEnd)
    ;(socket as Duplex as Known)[kLane] = lane
    socket.off('data', give).on('data', onData).off('end', giveEnd).on('end', onEnd)
    return lane
  }

  private constructor (listener: Listener, give: Give, giveEnd: GiveEnd) {
    this.#listener = listener
    this.#give = give
    this.#giveEnd = giveEnd
  }

  /** To be called when ws has failed: it reads no more, and would pause the socket. */
  stop (): void {
    this.#mode = 'none'
  }

  /**
   * FIN may be told in the tick of the last bytes, and ws writes nothing after it. Where the closing handshake is done, ws has
   * nothing left to do: it would end once more what it has ended, and Node make two errors of that, each with a stack.
   */
  end (socket: Duplex): void {
    this.#listener.flush()
    if (this.#mode !== 'none' || !socket.writableEnded) this.#giveEnd.call(socket)
  }

  read (socket: Duplex, chunk: Buffer): void {
    // At its end ws takes what it finds unread for itself.
    if (this.#mode === 'none' || socket.destroyed) return
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
          if (!this.#handMessage(socket, chunk, handled, at)) return
          handled = at
        }
      }
      if (at === chunk.length) break
      const end = this.#plainEnd(chunk, at)
      if (end === 0) this.#enter(chunk, at)
      else {
        if (handled < at) this.#hand(socket, chunk, handled, at)
        this.#readPlain(socket, chunk, at, end)
        handled = at = end
      }
    }
    if (handled < chunk.length) this.#hand(socket, chunk, handled, chunk.length)
  }

  /** Where the plain frame that begins there ends, or 0: it is none. */
  #plainEnd (chunk: Buffer, at: number): number {
    // Final, no reserved bits, text or binary; masked.
    if (this.#fragmented || (chunk[at] !== 0x81 && chunk[at] !== 0x82) || at + 6 > chunk.length) return 0
    const short = chunk[at + 1] as number - 0x80
    // Longer than 65 535 bytes: hardly in one chunk, for Node reads 64 KiB at once.
    if (short < 0 || short > 126) return 0
    const length = short < 126 ? short : chunk.readUInt16BE(at + 2)
    const end = at + (short < 126 ? 6 : 8) + length
    return end > chunk.length || length > this.#listener.maxMessageBytes ? 0 : end
  }

  #readPlain (socket: Duplex, chunk: Buffer, at: number, end: number): void {
    const from = at + (chunk[at + 1] === 0xfe ? 8 : 6)
    const ascii = unmask(chunk, from, end)
    if (chunk[at] === 0x82) this.#listener.readBinary(chunk.subarray(from, end))
    else if (ascii) this.#listener.readText(chunk.toString('latin1', from, end), end - from)
    else if (isUtf8(chunk.subarray(from, end))) this.#listener.readText(chunk.toString('utf8', from, end), end - from)
    else {
      // Masked again, it is what came, and ws says what is wrong with it.
      unmask(chunk, from, end)
      this.#mode = 'theirs'
      this.#hand(socket, chunk, at, end)
    }
  }

  /** The frame that begins there is ws's: finds out where it ends. */
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

  /** False: ws will fail because of this frame, and nothing that follows is a message. */
  #isGood (first: number, second: number): boolean {
    const opcode = first & 0x0f
    const final = first >= 0x80
    if ((first & 0x70) !== 0 || second < 0x80) return false
    if (opcode > 2) {
      this.#completes = opcode === 8
      return opcode > 7 && opcode < 11 && final && second <= 0x80 + 125
    }
    if ((opcode === 0) !== this.#fragmented) return false
    this.#fragmented = !final
    this.#completes = final
    return true
  }

  /** Hands over the end of a message that is ws's. False when none came of it: ws has failed, or the peer has closed, and ws reads no more. */
  #handMessage (socket: Duplex, chunk: Buffer, from: number, to: number): boolean {
    const before = this.#listener.messagesRead
    this.#hand(socket, chunk, from, to)
    if (this.#listener.messagesRead === before) this.#mode = 'none'
    return this.#mode !== 'none'
  }

  #hand (socket: Duplex, chunk: Buffer, from: number, to: number): void {
    this.#listener.flush()
    this.#give.call(socket, from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
  }
}

function onData (this: Duplex, chunk: Buffer): void {
  burst.hold()
  try {
    (this as Known)[kLane].read(this, chunk)
  } finally {
    burst.release()
  }
}

function onEnd (this: Duplex): void {
  (this as Known)[kLane].end(this)
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
