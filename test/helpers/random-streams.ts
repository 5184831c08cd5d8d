import { cut, mutateFrame } from './fuzz.ts'
import type { Script } from './differential.ts'
import { pick, type Random } from './random.ts'

/** Builds a random script: unusual frames, cut into chunks as TCP may cut them. */
export function buildScript (random: Random, tls = false): Script {
  const small = random(3) === 0
  const rough = tls
    ? undefined
    : pick(random, [
      undefined, undefined, undefined, undefined, undefined, undefined, undefined, 'reset',
      'handler'
    ] as const)
  const hasty = rough !== undefined || random(6) === 0
  const stuck = rough === undefined && random(30) === 0
  const faultAt = random(3) === 0 ? -1 : random(24)
  const frames: Buffer[] = []
  const letters = [
    ...(rough === 'handler' ? ROUGH_LETTERS : hasty ? HASTY_LETTERS : LETTERS),
    ...(stuck ? ['B', 'B', 'B'] : [])
  ]
  for (let left = random(24), at = 0; left >= 0; left--, at++) {
    frames.push(...at === faultAt ? fault(random, small) : good(random, small, letters))
  }
  return {
    chunks: chunksOf(random, frames),
    eager: rough === undefined && random(4) === 0,
    hasty,
    small,
    stuck,
    rough
  }
}

function good (random: Random, small: boolean, letters: readonly string[]): Buffer[] {
  const kind = random(20)
  if (kind < 3) return [encode(random, 9 + random(2), control(random))]
  const opcode = 1 + random(2)
  const payload = messageOf(random, opcode, small, letters)
  if (kind > 7) return [encode(random, opcode, payload)]
  const pieces = random(4) === 0 ? [payload, Buffer.alloc(0)] : cut(random, payload, 2 + random(3))
  if (pieces.length === 0) pieces.push(payload)
  return pieces.flatMap((piece, i) => [
    ...i > 0 && random(3) === 0 ? [encode(random, 9 + random(2), control(random))] : [],
    encode(random, i === 0 ? opcode : 0, piece, { fin: i === pieces.length - 1 })
  ])
}

function control (random: Random): Buffer {
  return Buffer.concat([
    Buffer.from(pick(random, ['', '', 'P', 'P', random(40) === 0 ? 'S' : 'p'])),
    noise(random, pick(random, [0, 1, 3, 124]))
  ])
}

/** Builds invalid frames, frames that end the connection, and random bytes. */
function fault (random: Random, small: boolean): Buffer[] {
  const payload = messageOf(random, 1, true, HASTY_LETTERS)
  const opcode = 1 + random(2)
  switch (random(17)) {
    case 0: return [encode(random, opcode, payload, { masked: false })]
    case 1: return [encode(random, opcode, payload, { rsv: 1 + random(7) })]
    case 2: return [encode(random, pick(random, [3, 4, 5, 6, 7, 11, 12, 15]), payload)]
    case 3:
      return [
        encode(
          random,
          1,
          Buffer.concat([payload, Buffer.from([pick(random, [0x80, 0xc0, 0xff, 0xed])])])
        )
      ]
    case 4:
      return [
        encode(random, 1, payload, { fin: false }),
        encode(random, 0, Buffer.from([0xe2, 0x82]))
      ]
    case 5: return [encode(random, opcode, Buffer.alloc(small ? 301 + random(300) : 80_001, 'b'))]
    case 6:
      return [
        encode(random, opcode, Buffer.alloc(small ? 200 : 60_000, 'b'), { fin: false }),
        encode(random, 0, Buffer.alloc(small ? 101 : 20_001, 'b'), { fin: random(2) === 0 })
      ]
    case 7: return [encode(random, 8, closing(random))]
    case 8: return [encode(random, 8, closing(random)), encode(random, 8, closing(random))]
    case 9: return [encode(random, 0, payload)]
    case 10:
      return [encode(random, opcode, payload, { fin: false }), encode(random, opcode, payload)]
    case 11:
      return [
        encode(random, 8 + random(3), noise(random, 3), {
          fin: random(2) === 0,
          width: pick(random, [0, 2, 8] as const)
        })
      ]
    case 12:
      return [encode(random, 1, Buffer.from(pick(random, ['S stop', 'F fault', 'S '.repeat(60)])))]
    case 13:
      return [
        encode(random, opcode, payload, { fin: false }),
        encode(random, 8, closing(random)),
        encode(random, 0, payload)
      ]
    case 14:
      return [
        encode(random, 9, noise(random, 3)),
        encode(random, 8, closing(random)),
        encode(random, opcode, payload)
      ]
    case 15:
      return Array.from({ length: 1 + random(40) }, () =>
        encode(random, 9 + random(2), control(random))
      )
    default: return [mutateFrame(random)]
  }
}

function closing (random: Random): Buffer {
  const code = pick(random, [1000, 1001, 1005, 3000, 4999, 999, 5000])
  return pick(random, [
    Buffer.alloc(0),
    Buffer.from([3]),
    Buffer.from([code >> 8, code & 255]),
    Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from('detail')]),
    Buffer.from([3, 232, 0xff])
  ])
}

const TEXTS = ['hello', 'grüß dich', '€uro', '😀', '\0', '\uFEFFx', '{"a":[1,2]}']
// A FIN may overtake an answer that waits for a turn.
const HASTY_LETTERS = ['', '', '', '', 'L', 'N', 'G', 'Z', 'W']
const LETTERS = [...HASTY_LETTERS, 'I', 'A']
const ROUGH_LETTERS = [...HASTY_LETTERS, 'D', 'E']

function messageOf (
  random: Random,
  opcode: number,
  small: boolean,
  letters: readonly string[]
): Buffer {
  const length = pick(
    random,
    small
      ? [0, 1, 2, 5, 124, 125, 126, 127, 128, 299, 300]
      : [
          0, 1, 3, 20, 124, 125, 126, 127, 128, 1000, random(30) === 0 ? 65_535 : 60,
          random(30) === 0 ? 65_536 : 61, random(4000)
        ]
  )
  const letter = pick(random, letters)
  if (opcode === 2) return binaryOf(letter, noise(random, length))
  let text = letter
  while (Buffer.byteLength(text) < length) {
    text += random(3) === 0 ? pick(random, TEXTS) : 'plain text '.repeat(1 + length / 20)
  }
  const bytes = Buffer.from(text).subarray(0, length)
  // Removes a character that was cut: invalid UTF-8 is only for faults.
  return Buffer.from(bytes.toString().replaceAll('\uFFFD', '')).subarray(0, length)
}

/** Random bytes after a letter. Without a letter the first byte is not ASCII. */
function binaryOf (letter: string, bytes: Buffer): Buffer {
  if (bytes.length > 0) {
    bytes[0] = letter === '' ? (bytes[0] as number) | 0x80 : letter.charCodeAt(0)
  }
  return bytes
}

function noise (random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = length > 5000 ? i * 31 : random(256)
  return bytes
}

interface Form {
  fin?: boolean
  rsv?: number
  masked?: boolean
  /** The bytes of the extended length. Default: the fewest possible. */
  width?: 0 | 2 | 8
}

/** Builds a client frame. Its length may use more bytes than necessary. */
export function encode (
  random: Random,
  opcode: number,
  payload: Buffer,
  { fin = true, rsv = 0, masked = true, width }: Form = {}
): Buffer {
  const least = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8
  const wide = Math.max(
    least,
    width ?? (opcode < 3 && random(12) === 0 ? pick(random, [2, 8]) : least)
  )
  const head = Buffer.alloc(2 + wide)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (wide === 0 ? payload.length : wide === 2 ? 126 : 127)
  if (wide === 2) head.writeUInt16BE(payload.length, 2)
  if (wide === 8) head.writeBigUInt64BE(BigInt(payload.length), 2)
  if (!masked) return Buffer.concat([head, payload])
  const mask = random(8) === 0 ? Buffer.alloc(4) : noise(random, 4)
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i & 3] as number))])
}

/** The most bytes that Node reads at once. */
const MAX_CHUNK = 65_536

function chunksOf (random: Random, frames: readonly Buffer[]): Buffer[] {
  const bytes = Buffer.concat(frames)
  const kind = random(6)
  if (kind === 0 && bytes.length < 600) {
    return Array.from(bytes, (_byte, i) => bytes.subarray(i, i + 1)).slice(0, 160)
      .concat(bytes.length > 160 ? [bytes.subarray(160)] : [])
  }
  const chunks =
    kind < 3
      ? [bytes]
      : kind === 3 ? nearBoundaries(random, frames, bytes) : cut(random, bytes, 2 + random(8))
  return chunks.flatMap((chunk) =>
    Array.from({ length: Math.ceil(chunk.length / MAX_CHUNK) }, (_none, i) =>
      chunk.subarray(i * MAX_CHUNK, (i + 1) * MAX_CHUNK)
    )
  )
}

/** Cuts within headers, directly before them and directly after them. */
function nearBoundaries (random: Random, frames: readonly Buffer[], bytes: Buffer): Buffer[] {
  const cuts = [0]
  let at = 0
  for (const frame of frames) {
    at += frame.length
    if (random(2) === 0) {
      cuts.push(Math.max(cuts.at(-1) as number, Math.min(bytes.length, at - 2 + random(12))))
    }
  }
  return [...cuts, bytes.length].map((to, i, all) => bytes.subarray(all[i - 1] ?? 0, to))
    .filter(({ length }) => length > 0)
}
