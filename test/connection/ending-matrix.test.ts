import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { setImmediate as turn, setTimeout as later } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type WebSocket from 'ws'
import type { TerminateReason, WebsocketContext, WebsocketOptions } from '../../src/index.ts'
import {
  closeFrame, connectRaw, connectRawTls, handshake, text, type RawClient
} from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

/*
 * Every trigger of an end, with every kind of peer and handler, on every kind of stream. There is
 * one test for each stream. `isPossible` leaves out impossible combinations.
 */

const TRIGGERS = [
  'the peer closes', 'the peer sends FIN', 'the peer resets', 'the handler stops',
  'the server drains', 'the peer is idle', 'the peer is dead', 'the peer is slow',
  'the rate limit is exceeded'
] as const
const PEERS = ['reads', 'does not read', 'floods'] as const
const HANDLERS = ['is idle', 'runs', 'returns a stop', 'throws', 'never returns'] as const
const STREAMS = ['TCP', 'TLS', 'permessage-deflate', 'injectWS'] as const

type Trigger = typeof TRIGGERS[number]

interface Case {
  readonly trigger: Trigger
  readonly peer: typeof PEERS[number]
  readonly handler: typeof HANDLERS[number]
  readonly stream: typeof STREAMS[number]
}

const CLOSE_TIMEOUT_MS = 300
const TERMINATE_TIMEOUT_MS = 300
/** The most time that a busy machine may add to a time limit. */
const SLACK_MS = 8000
/** The tests run side by side, because they mostly wait for a time limit. */
const AT_ONCE = 16

/** Messages shorter than the compression threshold of 1 KiB. */
const FILLING = Array.from({ length: 1000 }, () => 'y'.repeat(1000))

const BY_THE_PEER: readonly Trigger[] = ['the peer closes', 'the peer sends FIN', 'the peer resets']

function isPossible ({ trigger, peer, handler, stream }: Case): boolean {
  switch (trigger) {
    // After FIN or a reset the peer cannot send anything.
    case 'the peer sends FIN':
    case 'the peer resets': return peer !== 'floods' && (stream !== 'injectWS' || peer === 'reads')
    // The info waits for the running callback. A callback that stops is another row.
    case 'the handler stops': return handler === 'is idle'
    // A running callback stops the clock, and a flooding peer is not idle.
    case 'the peer is idle': return handler === 'is idle' && peer !== 'floods'
    // A stream of injectWS does not count the bytes that it has read.
    case 'the peer is dead': return peer !== 'floods' && stream !== 'injectWS'
    case 'the peer is slow': return peer === 'does not read'
    case 'the peer closes':
    case 'the server drains':
    case 'the rate limit is exceeded': return true
  }
}

const OPTIONS: Partial<Record<Trigger, WebsocketOptions>> = {
  'the peer is idle': { idleTimeoutMs: 200 },
  'the peer is dead': { heartbeatIntervalMs: 100, heartbeatTimeoutMs: 100 },
  'the peer is slow': { maxBufferedBytes: 256 * 1024 },
  'the rate limit is exceeded': { rateLimit: { messages: 20, intervalMs: 3_600_000 } }
}

const REASONS: Record<Trigger, object> = {
  'the peer closes': { type: 'remote', code: 3001, reason: 'bye' },
  'the peer sends FIN': { type: 'remote', code: 1006, reason: '' },
  'the peer resets': { type: 'remote', code: 1006, reason: '' },
  'the handler stops': { type: 'normal' },
  'the server drains': { type: 'shutdown' },
  'the peer is idle': { type: 'timeout' },
  'the peer is dead': { type: 'timeout' },
  'the peer is slow': { type: 'error', code: 1013 },
  'the rate limit is exceeded': { type: 'error', code: 1008 }
}

/** The code in the close frame that a reading peer gets. Undefined: no close frame. */
function closeCodeOf ({ trigger, handler }: Case): number | undefined {
  switch (trigger) {
    case 'the peer closes': return 3001
    case 'the peer sends FIN':
      return handler === 'returns a stop' ? 4000 : handler === 'throws' ? 1011 : undefined
    case 'the handler stops':
    case 'the peer is idle': return 1000
    case 'the server drains': return 1012
    case 'the rate limit is exceeded': return 1008
    case 'the peer resets':
    case 'the peer is dead':
    case 'the peer is slow': return undefined
  }
}

/** True for a peer that must get the close frame. A flooding peer may lose it to a TCP reset. */
function mustGetCloseFrame ({ peer }: Case): boolean {
  return peer === 'reads'
}

/** The record of one connection, from its handler and its socket. Times in ms. */
interface Life {
  readonly handled: string[]
  readonly reasons: TerminateReason[]
  ws: WebsocketContext<Uint8Array | string, unknown, unknown> | undefined
  socket: Duplex | undefined
  release: () => void
  abortedAt: number
  closedAt: number
  terminatedAt: number
}

interface Peer {
  send (messages: readonly string[]): void
  close (): void
  fin (): void
  reset (): void
  stopReading (): void
  flood (): void
  closeCode (): number | undefined
}

interface Running {
  readonly server: TestServer
  readonly lives: Map<string, Life>
}

async function start (t: Teardown, stream: Case['stream']): Promise<Running> {
  const lives = new Map<string, Life>()
  const read = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures', name))
  const https =
    stream === 'TLS'
      ? { key: read('localhost-key.pem'), cert: read('localhost-cert.pem') }
      : undefined
  const server = await startServer(t, (app) => {
    for (const trigger of TRIGGERS) {
      app.get(`/${TRIGGERS.indexOf(trigger)}`, {
        websocketOptions: {
          closeTimeoutMs: CLOSE_TIMEOUT_MS,
          terminateTimeoutMs: TERMINATE_TIMEOUT_MS,
          maxMessageBytes: 64 * 1024,
          maxBufferedBytes: 2 ** 28,
          compress: stream === 'permessage-deflate',
          ...OPTIONS[trigger]
        },
        websocketHandler: {
          init ({ query, request }, ws) {
            const life = lives.get((query as { n: string }).n) as Life
            life.ws = ws as never
            life.socket = request.raw.socket as Duplex | undefined
            ws.signal.addEventListener('abort', () => { life.abortedAt = performance.now() })
            ws.subscribe(ws.id)
            return ws.push('ready', life)
          },
          handleIn ({ data }, life, ws) {
            const [word, mode] = String(data).split(' ')
            if (word === 'x') return
            life.handled.push(String(word))
            if (word === 'fill') return ws.push(FILLING)
            if (word !== 'work' || mode === 'idle') return
            return new Promise<void>((resolve) => { life.release = resolve }).then(() => {
              if (mode === 'stop') return ws.stop('normal', 4000)
              if (mode === 'throw') throw new Error('as planned')
              return ws.push('late')
            })
          },
          handleInfo: (_info, _life, ws) => ws.stop('normal'),
          terminate (reason, life) {
            life.terminatedAt = performance.now()
            life.reasons.push(reason)
          }
        }
      })
    }
  }, { level: 'silent', ...https && { fastify: { https } as never } })
  return { server, lives }
}

async function until (condition: () => boolean, otherwise: string): Promise<void> {
  const deadline = performance.now() + 2 * SLACK_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(otherwise)
    await later(2)
  }
}

async function connect (
  t: Teardown,
  { server: { app, port } }: Running,
  { stream, peer }: Case,
  path: string
): Promise<Peer> {
  if (stream === 'injectWS') return await inject(t, app, path)
  const raw = stream === 'TLS' ? await connectRawTls(t, port) : await connectRaw(t, port)
  raw.write(handshake(
    path,
    stream === 'permessage-deflate' ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {}
  ))
  await raw.until((client) => client.frames().length === 1)
  return rawPeer(raw, peer)
}

function rawPeer (raw: RawClient, kind: Case['peer']): Peer {
  const burst = Buffer.concat(Array.from({ length: 1000 }, () => text('x')))
  return {
    send: (messages) => { raw.write(Buffer.concat(messages.map(text))) },
    close: () => { raw.write(closeFrame(3001, 'bye')) },
    fin: () => { raw.socket.end() },
    // Node cannot reset a TLS socket. TCP sends a reset when it is destroyed with unread bytes.
    reset: () => {
      if (raw.socket instanceof TLSSocket || kind === 'does not read') raw.socket.destroy()
      else raw.socket.resetAndDestroy()
    },
    stopReading: () => { raw.socket.pause() },
    flood () {
      const more = (): void => {
        if (raw.socket.destroyed || raw.socket.writableEnded) return
        if (raw.socket.write(burst)) setImmediate(more)
        else raw.socket.once('drain', more)
      }
      more()
    },
    closeCode: () => raw.frames().find(({ opcode }) => opcode === 8)?.payload.readUInt16BE()
  }
}

async function inject (t: Teardown, app: TestServer['app'], path: string): Promise<Peer> {
  let closeCode: number | undefined
  const client = await app.injectWS(path, {}, {
    onInit: (ws) => {
      ws.on('error', () => {})
      ws.on('close', (code) => { if (code !== 1006) closeCode = code })
    }
  }) as unknown as WebSocket & { _socket: Duplex }
  t.teardown(() => client.terminate())
  return {
    send: (messages) => { for (const message of messages) client.send(message) },
    close: () => client.close(3001, 'bye'),
    fin: () => { client._socket.end() },
    reset: () => client.terminate(),
    stopReading: () => client.pause(),
    flood () {
      const more = (): void => {
        if (client._socket.destroyed || client._socket.writableEnded) return
        for (let n = 0; n < 100; n++) client._socket.write(text('x'))
        setImmediate(more)
      }
      more()
    },
    closeCode: () => closeCode
  }
}

const MODES: Record<Case['handler'], string> = {
  'is idle': 'idle',
  runs: 'return',
  'returns a stop': 'stop',
  throws: 'throw',
  'never returns': 'never'
}

async function trigger (
  running: Running,
  { trigger, peer: kind }: Case,
  peer: Peer,
  life: Life
): Promise<void> {
  const { app } = running.server
  const ws = life.ws as NonNullable<Life['ws']>
  switch (trigger) {
    case 'the peer closes': peer.close(); break
    case 'the peer sends FIN': return peer.fin()
    case 'the peer resets': return peer.reset()
    case 'the handler stops': ws.post('stop'); break
    case 'the server drains': void app.websock.drain({ timeoutMs: 60_000 }); break
    case 'the peer is slow':
      while (!ws.signal.aborted) {
        app.websock.broadcast(ws.id, randomBytes(2 ** 16))
        await turn()
      }
      break
    case 'the rate limit is exceeded': peer.send(Array.from({ length: 30 }, () => 'x')); break
    case 'the peer is idle':
    case 'the peer is dead': return
  }
  if (kind === 'floods') peer.flood()
}

let count = 0

async function perform (t: Test, running: Running, one: Case): Promise<void> {
  const n = `${++count}`
  const label = `${one.trigger}, ${one.peer}; the handler ${one.handler}`
  const life: Life = {
    handled: [],
    reasons: [],
    ws: undefined,
    socket: undefined,
    release: () => {},
    abortedAt: 0,
    closedAt: 0,
    terminatedAt: 0
  }
  running.lives.set(n, life)
  const peer = await connect(t, running, one, `/${TRIGGERS.indexOf(one.trigger)}?n=${n}`)
  const { socket } = life as { socket: Duplex | undefined }
  socket?.on('close', () => { life.closedAt = performance.now() })
  if (one.peer === 'does not read') {
    peer.stopReading()
    if (one.trigger !== 'the peer is slow') {
      while (life.ws?.bufferedBytes === 0) {
        const before = life.handled.length
        peer.send(['fill'])
        await until(() => life.handled.length > before, `${label}: no message is handled`)
        await turn()
      }
    }
  }
  life.handled.length = 0
  peer.send([`work ${MODES[one.handler]}`, 'm1', 'm2'])
  await until(() => life.handled.includes('work'), `${label}: the message \`work\` is not handled`)
  for (let i = 0; i < 5; i++) await turn()
  const from = performance.now()
  await trigger(running, one, peer, life)
  await until(() => life.abortedAt > 0, `${label}: the signal is not aborted`)
  if (one.handler !== 'never returns') life.release()
  await until(() => life.reasons.length > 0, `${label}: terminate is not called`)
  if (socket !== undefined) {
    await until(() => life.closedAt > 0, `${label}: the socket is not closed`)
  }
  const code = mustGetCloseFrame(one) ? closeCodeOf(one) : undefined
  if (code !== undefined) {
    await until(() => peer.closeCode() !== undefined, `${label}: the peer gets no close frame`)
  }
  // A second terminate, or a message that is handled after it, would happen now.
  for (let i = 0; i < 5; i++) await turn()
  judge(t, one, { label, life, peer, from })
}

function judge (
  t: Test,
  one: Case,
  { label, life, peer, from }: { label: string, life: Life, peer: Peer, from: number }
): void {
  const byThePeer = BY_THE_PEER.includes(one.trigger)
  t.match(life.reasons, [REASONS[one.trigger]], `${label}: reason`)
  t.equal(life.reasons.length, 1, `${label}: terminate is called once`)
  const rest =
    one.handler === 'is idle' || (byThePeer && one.handler === 'runs') ? ['m1', 'm2'] : []
  t.same(life.handled, ['work', ...rest], `${label}: handled`)
  const abortMs = life.abortedAt - from
  t.ok(abortMs < SLACK_MS, `${label}: the signal is aborted after ${Math.round(abortMs)} ms`)
  if (life.closedAt > 0) {
    const closeMs = life.closedAt - life.abortedAt
    t.ok(
      closeMs < CLOSE_TIMEOUT_MS + SLACK_MS,
      `${label}: the socket is closed after ${Math.round(closeMs)} ms`
    )
  }
  const terminateMs = life.terminatedAt - life.abortedAt
  // A drain waits for the running callback before it begins the end.
  const waits = one.handler === 'never returns' && one.trigger !== 'the server drains'
  const [least, most] = waits ? [TERMINATE_TIMEOUT_MS - 5, TERMINATE_TIMEOUT_MS] : [-1, 0]
  t.ok(
    terminateMs >= least && terminateMs < most + SLACK_MS,
    `${label}: terminate comes after ${Math.round(terminateMs)} ms`
  )
  if (mustGetCloseFrame(one)) t.equal(peer.closeCode(), closeCodeOf(one), `${label}: code`)
}

for (const stream of STREAMS) {
  const title =
    `each trigger, peer and handler end a connection in time, with the right reason, on ${stream}`
  void t.test(title, { timeout: 240_000 }, async (t) => {
    const cases: Case[] = TRIGGERS.flatMap((trigger) =>
      PEERS.flatMap((peer) => HANDLERS.map((handler) => ({ trigger, peer, handler, stream })))
    ).filter(isPossible)
    const shared = await start(t, stream)
    const queue = [...cases]
    const work = async (): Promise<void> => {
      for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
        // A drain ends all connections of its server.
        const running = one.trigger === 'the server drains' ? await start(t, stream) : shared
        await perform(t, running, one)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    const from = performance.now()
    await shared.server.app.close()
    t.ok(performance.now() - from < SLACK_MS, 'app.close() does not wait')
    t.comment(`${cases.length} combinations`)
  })
}
