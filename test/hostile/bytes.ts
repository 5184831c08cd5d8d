import { constants, deflateRawSync } from 'node:zlib'

export interface FrameOptions {
  readonly fin?: boolean
  readonly rsv?: number
  readonly masked?: boolean
  /** The bits of the length. Default: the fewest possible. */
  readonly lengthBits?: 7 | 16 | 64
  /** The length in the header, whatever follows. Default: that of the payload. */
  readonly length?: bigint
}

// The mask of the examples in RFC 6455 §5.7.
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const

/** Builds any frame, also an invalid one. */
export function frame (
  opcode: number,
  payload: string | Uint8Array = '',
  options: FrameOptions = {}
): Buffer {
  const { fin = true, rsv = 0, masked = true } = options
  const data = Buffer.from(payload as Uint8Array)
  const length = options.length ?? BigInt(data.length)
  const bits = options.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64)
  const head = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127)
  if (bits === 16) head.writeUInt16BE(Number(length), 2)
  if (bits === 64) head.writeBigUInt64BE(length, 2)
  if (!masked) return Buffer.concat([head, data])
  for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) ^ (MASK[i & 3] as number)
  return Buffer.concat([head, Buffer.from(MASK), data])
}

export const CONTINUATION = 0
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export const MIB = 1024 * 1024

export function text (payload: string | Uint8Array, options?: FrameOptions): Buffer {
  return frame(TEXT, payload, options)
}

/** One message in several frames. */
export function fragments (opcode: number, ...parts: ReadonlyArray<string | Uint8Array>): Buffer {
  return Buffer.concat(
    parts.map((part, i) =>
      frame(i === 0 ? opcode : CONTINUATION, part, { fin: i === parts.length - 1 })
    )
  )
}

export function close (code?: number, reason: string | Uint8Array = ''): Buffer {
  return frame(
    CLOSE,
    code === undefined
      ? ''
      : Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason as Uint8Array)])
  )
}

export function hex (digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex')
}

/** The payload of a compressed message (RFC 7692 §7.2.1). */
export function deflated (data: string | Uint8Array): Buffer {
  return deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, level: 9 }).subarray(0, -4)
}

export function compressed (data: string | Uint8Array, options: FrameOptions = {}): Buffer {
  return text(deflated(data), { rsv: 4, ...options })
}

export function times (n: number, bytes: Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: n }, () => bytes))
}

/** Reproducible pseudo-random bytes, from mulberry32. */
export function noise (length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) {
    seed = (seed + 0x6d2b79f5) | 0
    let n = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    n = (n + Math.imul(n ^ (n >>> 7), 61 | n)) ^ n
    bytes[i] = (n ^ (n >>> 14)) & 0xff
  }
  return bytes
}
