import { frame, handshake } from './raw.ts'
import { pick, type Random } from './random.ts'

/** Valid input: whole messages in unusual but valid frames. */
export interface Prefix {
  readonly frames: Buffer[]
  /** The number of whole data messages in the frames. */
  readonly messages: number
}

export function buildPrefix (random: Random, length: number): Prefix {
  const frames: Buffer[] = []
  let messages = 0
  let open = false
  while (frames.length < length || open) {
    const kind = random(10)
    if (kind < 2) {
      frames.push(masked(random, frame(9 + random(2), noise(random, pick(random, [0, 1, 5, 125])))))
    } else if (open) {
      const fin = frames.length >= length || random(3) === 0
      frames.push(masked(random, frame(0, letters(random), { fin })))
      if (fin) messages++
      open = !fin
    } else {
      const fin = random(4) > 0
      frames.push(
        masked(
          random,
          random(2) === 0
            ? frame(1, letters(random), { fin })
            : frame(2, noise(random, sizeOf(random)), { fin })
        )
      )
      if (fin) messages++
      open = !fin
    }
  }
  return { frames, messages }
}

/** Builds a frame with a few faults, or random bytes. */
export function mutateFrame (random: Random): Buffer {
  const kind = random(10)
  if (kind === 0) return noise(random, 1 + random(80))
  if (kind > 5) return damage(random, kind)
  const opcode = kind === 1 ? random(16) : pick(random, [0, 1, 2, 8, 9, 10])
  const whole = masked(
    random,
    frame(opcode, random(2) === 0 ? letters(random) : noise(random, sizeOf(random)), {
      fin: random(3) > 0,
      rsv: kind === 2 ? random(8) : 0
    })
  )
  return kind < 3 ? whole : mutate(random, whole, kind === 3 ? 6 : whole.length)
}

/** Builds a frame with a fault in its text, its length or its fragmentation. */
function damage (random: Random, kind: number): Buffer {
  if (kind === 6) {
    return masked(
      random,
      frame(1, mutate(random, Buffer.from(letters(random) + letters(random)), 400))
    )
  }
  if (kind === 7) {
    return Buffer.concat([
      Buffer.from([0x81 + random(2), 0xff]),
      pick(random, LENGTHS),
      noise(random, random(20))
    ])
  }
  if (kind === 8) {
    return masked(
      random,
      frame(
        8,
        Buffer.concat([noise(random, random(3)), Buffer.from(letters(random))]).subarray(0, 125)
      )
    )
  }
  return Buffer.concat(
    Array.from({ length: 1 + random(30) }, () =>
      masked(random, frame(random(2), noise(random, random(3)), { fin: random(9) === 0 }))
    )
  )
}

const LENGTHS = [
  '0000000000000000',
  '0000000000000005',
  '000000000000ffff',
  '0000000000010000',
  '0000000000010001',
  '0000000100000000',
  '001fffffffffffff',
  '0020000000000000',
  '7fffffffffffffff',
  'ffffffffffffffff'
].map((digits) => Buffer.from(digits, 'hex'))

const PATHS = ['/', '/', '/', '/hooks', '/plain', '/none', '/%', '//', '/?a=%ff', '*']
const NAMES = [
  'Host',
  'Upgrade',
  'Connection',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Version',
  'Sec-WebSocket-Protocol',
  'Sec-WebSocket-Extensions',
  'Origin',
  'Content-Length',
  'Transfer-Encoding',
  'Expect',
  'Cookie',
  'Accept',
  'X',
  '',
  ' ',
  '__proto__'
]
const VALUES = [
  '',
  ' ',
  'websocket',
  'WebSocket, h2c',
  'h2c',
  'Upgrade',
  'keep-alive, Upgrade',
  'close',
  'upgrade, close',
  '13',
  '8',
  '13, 13',
  'dGhlIHNhbXBsZSBub25jZQ==',
  'dGhlIHNhbXBsZSBub25jZQ',
  'a',
  'a, b',
  'a,,a',
  'permessage-deflate',
  'permessage-deflate; server_max_window_bits=99',
  'http://127.0.0.1',
  'http://evil.example',
  'null',
  '0',
  '5',
  '-1',
  '99999999999999999999',
  'chunked',
  '100-continue',
  '127.0.0.1',
  '[::1',
  '\u00ff\u00fe',
  'x'.repeat(300),
  'x'.repeat(20_000),
  ';;==,,',
  '"',
  '\t',
  '\x00'
]
const LINES = [
  'POST / HTTP/1.1',
  'HEAD / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'CONNECT a:1 HTTP/1.1',
  'GET / HTTP/1.0',
  'GET / HTTP/2.0',
  'GET /',
  'PRI * HTTP/2.0',
  'get / HTTP/1.1',
  '',
  'GET http://a/ HTTP/1.1'
]

/** Builds a handshake with up to four faults, and sometimes with bytes after it. */
export function mutateHandshake (random: Random): Buffer {
  const path = pick(random, PATHS)
  const lines = handshake(path, {}, random(8) === 0 ? pick(random, LINES) : undefined).split('\r\n')
  for (let faults = random(4); faults > 0; faults--) {
    const at = 1 + random(lines.length - 2)
    const name = `${pick(random, NAMES)}${random(20) === 0 ? '' : ':'}`
    const line = `${name}${random(10) === 0 ? '' : ' '}${pick(random, VALUES)}`
    const kind = random(5)
    if (kind === 0) lines.splice(at, 1)
    else if (kind === 1) lines.splice(at, 0, line)
    else if (kind === 2) lines[at] = line
    else if (kind === 3) lines.splice(at, 0, lines[1 + random(lines.length - 2)] as string)
    else lines[at] = `${(lines[at] as string).split(':')[0] as string}: ${pick(random, VALUES)}`
    if (lines.length < 4) break
  }
  const head = Buffer.from(lines.join(random(30) === 0 ? '\n' : '\r\n'), 'latin1')
  const bytes = random(3) === 0 ? mutate(random, head, head.length) : head
  const tail = random(4)
  if (tail === 0) return Buffer.concat([bytes, mutateFrame(random)])
  if (tail === 1 && random(3) === 0) {
    return Buffer.concat([bytes, Buffer.from(handshake(pick(random, PATHS)))])
  }
  return random(12) === 0 ? bytes.subarray(0, random(bytes.length)) : bytes
}

/** Cuts bytes at random places, as TCP may. */
export function cut (random: Random, bytes: Buffer, pieces: number): Buffer[] {
  const cuts = Array.from({ length: pieces - 1 }, () => random(bytes.length + 1)).sort(
    (a, b) => a - b
  )
  return [...cuts, bytes.length]
    .map((to, i) => bytes.subarray(cuts[i - 1] ?? 0, to))
    .filter(({ length }) => length > 0)
}

/**
 * Makes one to four faults in the first `within` bytes: flips bits, inserts, removes or repeats
 * bytes.
 */
function mutate (random: Random, bytes: Buffer, within: number): Buffer {
  let result = Buffer.from(bytes)
  for (let faults = 1 + random(4); faults > 0 && result.length > 0; faults--) {
    const at = random(Math.min(within, result.length))
    const kind = random(5)
    const [before, after] = [result.subarray(0, at), result.subarray(at)]
    if (kind === 0) result[at] = (result[at] as number) ^ (1 << random(8))
    else if (kind === 1) result[at] = pick(random, [0, 1, 10, 13, 0x7e, 0x7f, 0x80, 0xfe, 0xff])
    else if (kind === 2) result = Buffer.concat([before, noise(random, 1 + random(4)), after])
    else if (kind === 3) result = Buffer.concat([before, after.subarray(1 + random(4))])
    else result = Buffer.concat([before, after.subarray(0, 1 + random(8)), after])
  }
  return result
}

/** Masks a frame with a random mask. */
function masked (random: Random, bytes: Buffer): Buffer {
  const head = ((bytes[1] as number) & 0x7f) === 126 ? 4 : 2
  const mask = noise(random, 4)
  mask.copy(bytes, head)
  for (let i = head + 4; i < bytes.length; i++) {
    bytes[i] = (bytes[i] as number) ^ (mask[(i - head) & 3] as number)
  }
  return bytes
}

function sizeOf (random: Random): number {
  return pick(random, [0, 1, 3, 40, 125, 126, 127, 200, random(40) === 0 ? 5000 : 20])
}

/** A random text of valid UTF-8. */
function letters (random: Random): string {
  return pick(random, [
    '',
    'a',
    'grüß',
    '€€',
    '😀',
    '{"a":1}',
    'x'.repeat(126),
    'y'.repeat(sizeOf(random))
  ])
}

function noise (random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random(256)))
}
