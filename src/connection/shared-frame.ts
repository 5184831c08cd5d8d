import type { OutgoingFrame } from '../wire/frame.ts'
import { FIRST_BYTES, MAX_HEADER, writeHeader } from './frame-header.ts'

/** A frame for many: encoded once, and framed once. */
export class SharedFrame {
  readonly opcode: OutgoingFrame['opcode']
  /** Header and payload, for sockets that are written without ws. */
  readonly bytes: Buffer
  /** For ws, which frames it itself. */
  readonly payload: Buffer

  constructor ({ opcode, data }: OutgoingFrame) {
    const length = Buffer.byteLength(data)
    // Of its own: a slow reader would keep all of Node's pool.
    const bytes = Buffer.allocUnsafeSlow(MAX_HEADER + length)
    const payloadAt = writeHeader(bytes, 0, FIRST_BYTES[opcode], length)
    if (typeof data === 'string') bytes.write(data, payloadAt)
    else bytes.set(data, payloadAt)
    this.opcode = opcode
    this.bytes = bytes.subarray(0, payloadAt + length)
    this.payload = this.bytes.subarray(payloadAt)
  }
}

/** Who has shared frames that wait for the end of the tick. */
export interface SharedWriter {
  flushShared (): void
}

let writers: SharedWriter[] = []
let joined: { frames: readonly SharedFrame[], bytes: Buffer } | undefined

/** Calls `flushShared` at the end of this tick. */
export function flushAtEndOfTick (writer: SharedWriter): void {
  if (writers.push(writer) === 1) process.nextTick(flushAll)
}

function flushAll (): void {
  const due = writers
  writers = []
  for (const writer of due) writer.flushShared()
  joined = undefined
}

/** Several frames as one piece: the same piece for all who have the same frames, one after the other. */
export function joinFrames (frames: readonly SharedFrame[]): Buffer {
  if (frames.length === 1) return (frames[0] as SharedFrame).bytes
  if (joined === undefined || joined.frames.length !== frames.length || !frames.every((frame, i) => frame === joined?.frames[i])) {
    joined = { frames, bytes: Buffer.concat(frames.map(({ bytes }) => bytes)) }
  }
  return joined.bytes
}
