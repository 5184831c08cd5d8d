import { setImmediate as turn } from 'node:timers/promises'
import type { Socket } from 'node:net'
import { pingFrame, type TerminateReason, type WebsocketOptions } from '../../src/index.ts'
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
  await until(() => life.ended.length > 0, 'the connection does not end')
  lives.delete(`${name}-${kind}`)
  return { seen: life.seen, ended: life.ended, wire: client.bytes }
}

async function settled (client: RawClient, life: Life, sent: number): Promise<void> {
  await until(
    () =>
      client.socket.destroyed || life.socket?.destroyed === true ||
      (life.socket !== undefined && life.read >= sent),
    'the server does not read all bytes'
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
