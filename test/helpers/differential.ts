import { setImmediate as turn } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { pingFrame, type TerminateReason, type WebsocketOptions } from '../../src/index.ts'
import { cut, mutateFrame } from './fuzz.ts'
import { pick, type Random } from './random.ts'
import { connectRaw, connectRawTls, handshake, type RawClient } from './raw.ts'
import { startReference } from './reference-server.ts'
import { startServer, type Teardown, type TestServer } from './server.ts'

/** The input of one connection, in chunks that the server reads one by one. */
export interface Script {
  readonly chunks: readonly Buffer[]
  /** The first chunk is sent in the packet of the handshake. */
  readonly eager: boolean
  /** The last two chunks and FIN are sent together, without waiting for answers. */
  readonly hasty: boolean
  /** Messages have at most 300 bytes. */
  readonly small: boolean
  /**
   * The client reads nothing until all chunks are sent, and answers may exceed the buffers of TCP.
   */
  readonly stuck: boolean
  /**
   * The socket fails: the client resets it after the last two chunks, or a message makes the
   * handler close it. The bytes in transit are then undefined.
   */
  readonly rough: 'reset' | 'handler' | undefined
}

export interface Outcome {
  /** The messages and control frames that the handler got, in order. */
  readonly seen: string[]
  readonly ended: string[]
  readonly wire: Buffer
}

/** The record of one connection's handler, on either server. */
export interface Life {
  readonly seen: string[]
  readonly ended: string[]
  socket: Socket | undefined
  /** The number of bytes that the server has read after the handshake. */
  read: number
  readonly script: Script
  /** The number of pending async callbacks. */
  pending: number
}

export type Kind = 'ours' | 'ws'

/** Two servers with the same behaviour: one of this library, and one of ws. */
export interface Servers {
  readonly ports: Readonly<Record<Kind, number>>
  readonly lives: Map<string, Life>
  readonly tls: boolean
}

const LIMITS = { large: 80_000, small: 300 } as const
const MAX_BUFFERED_BYTES = 2 ** 28
const CLOSE_TIMEOUT_MS = 10_000

export async function startServers (
  t: Teardown,
  tls?: { readonly key: Buffer, readonly cert: Buffer }
): Promise<Servers> {
  const lives = new Map<string, Life>()
  const ours = await startServer(
    t,
    (app) => {
      for (const [size, maxMessageBytes] of Object.entries(LIMITS)) {
        declareRoute(
          app,
          `/${size}`,
          { maxMessageBytes, maxBufferedBytes: MAX_BUFFERED_BYTES },
          lives
        )
      }
    },
    {
      level: 'silent',
      websock: { closeTimeoutMs: CLOSE_TIMEOUT_MS },
      ...(tls && { fastify: { https: tls } as never })
    }
  )
  const ws = await startReference(t, tls, (request) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x')
    return {
      life: lives.get(searchParams.get('n') ?? '') as Life,
      maxPayload: LIMITS[pathname.slice(1) as keyof typeof LIMITS]
    }
  }, CLOSE_TIMEOUT_MS)
  return { ports: { ours: ours.port, ws }, lives, tls: tls !== undefined }
}

function declareRoute (
  app: TestServer['app'],
  path: string,
  websocketOptions: WebsocketOptions,
  lives: ReadonlyMap<string, Life>
): void {
  app.get(path, {
    websocketOptions,
    websocketHandler: {
      init ({ query, request }, ws) {
        const life = lives.get((query as { n: string }).n) as Life
        life.socket = request.raw.socket
        life.socket.on('data', (chunk: Buffer) => { life.read += chunk.length })
        return ws.ok(life)
      },
      handleIn: ({ opcode, data }, life, ws) => {
        life.seen.push(`${opcode} ${Buffer.from(data as string).toString('latin1')}`)
        return answer(data, life, ws as never) as never
      },
      handleControl: ({ opcode, data }, life, ws) => {
        life.seen.push(`${opcode} ${Buffer.from(data).toString('latin1')}`)
        return answerControl(data, ws as never) as never
      },
      handleInfo: (info, _life, ws) => ws.push(info as string),
      terminate (reason, life) { life.ended.push(describe(reason)) }
    }
  })
}

/** The functions that an answer calls, of this library's connection or of the reference's. */
export interface Answering {
  push (messages: unknown): unknown
  stop (reason: 'normal', code: number, messages: unknown): unknown
  post (info: unknown): unknown
  pause (): void
  resume (): void
}

/** The first character of a message. It selects the answer. */
const letterOf = (data: string | Uint8Array): string =>
  typeof data === 'string' ? data.charAt(0) : String.fromCharCode(data[0] ?? 0)

export function answerControl (data: Uint8Array, ws: Answering): unknown {
  if (letterOf(data) === 'P') return ws.push(Buffer.from(data))
  if (letterOf(data) === 'S') return ws.stop('normal', 4001, Buffer.from(data))
}

export function answer (data: string | Uint8Array, life: Life, ws: Answering): unknown {
  const later = (work: () => unknown): Promise<unknown> => {
    life.pending++
    return turn().then(() => {
      life.pending--
      return work()
    })
  }
  switch (letterOf(data)) {
    case 'A': return later(() => ws.push(data))
    case 'L':
      return ws.push([
        data, 'x'.repeat(200), Buffer.alloc(70, 7), data, pingFrame('listed'), '€'.repeat(50)
      ])
    case 'N': return
    case 'I':
      ws.post(`info ${data.length}`)
      return ws.push(data)
    case 'G': return ws.push(pingFrame('asked'))
    case 'Z':
      ws.pause()
      void later(() => ws.resume())
      return ws.push(data)
    case 'W':
      ws.pause()
      void later(() => later(() => later(() => ws.resume())))
      return
    case 'B': return life.script.stuck ? ws.push([data, ...MUCH]) : undefined
    case 'D':
      if (life.script.rough === 'handler') life.socket?.destroy()
      return ws.push(data)
    case 'E':
      if (life.script.rough === 'handler') life.socket?.end()
      return ws.push(data)
    case 'S': return ws.stop('normal', 4000, [data, 'last'])
    case 'F': throw new Error('as asked')
    default: return ws.push(data)
  }
}

const MUCH = Array.from({ length: 5 }, (_none, i) => Buffer.alloc(2 ** 20, i))

const describe = (reason: TerminateReason): string =>
  [
    reason.type,
    ...('code' in reason ? [reason.code] : []),
    ...('reason' in reason ? [reason.reason] : [])
  ].join(' ')

/**
 * Runs a script on one of the servers. Sends a chunk when the last one is read and its callbacks
 * have ended.
 */
export async function perform (
  t: Teardown,
  { ports, lives, tls }: Servers,
  script: Script,
  name: string,
  kind: Kind
): Promise<Outcome> {
  const { chunks, eager, hasty, small, stuck, rough } = script
  const life: Life = { seen: [], ended: [], socket: undefined, read: 0, script, pending: 0 }
  lives.set(`${name}-${kind}`, life)
  const client = tls ? await connectRawTls(t, ports[kind]) : await connectRaw(t, ports[kind])
  client.socket.setNoDelay()
  if (stuck) client.socket.pause()
  const head = Buffer.from(handshake(`/${small ? 'small' : 'large'}?n=${name}-${kind}`))
  const packets = eager
    ? [Buffer.concat([head, ...chunks.slice(0, 1)]), ...chunks.slice(1)]
    : [head, ...chunks]
  let sent = -head.length
  for (const packet of packets) {
    client.write(packet)
    sent += packet.length
    // A hasty script sends the last two chunks and FIN together: the server may read them together
    // after a pause.
    if (!hasty || packets.indexOf(packet) < packets.length - 2) await settled(client, life, sent)
  }
  if (rough === 'reset') client.socket.resetAndDestroy()
  else client.socket.resume().end()
  await until(() => client.socket.closed, 'TCP does not end')
  await until(() => life.ended.length > 0, 'there is no end')
  lives.delete(`${name}-${kind}`)
  return { seen: life.seen, ended: life.ended, wire: client.bytes }
}

async function settled (client: RawClient, life: Life, sent: number): Promise<void> {
  await until(
    () =>
      client.socket.destroyed || life.socket?.destroyed === true ||
      (life.socket !== undefined && life.read >= sent),
    'it is not read'
  )
  for (let quiet = 0; quiet < 3; quiet++) {
    await turn()
    if (life.pending > 0) quiet = -1
  }
}

export async function until (condition: () => boolean, otherwise: string): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(otherwise)
    await turn()
  }
}

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
    Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from('so it is')]),
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
