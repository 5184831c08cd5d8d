import { connect } from 'node:net'
import { constants, deflateRawSync } from 'node:zlib'
import t from 'tap'
import { RawClient, binary, closeFrame, frame, handshake, text } from '../helpers/raw.ts'
import { LONG } from '../helpers/scale.ts'
import { startServerProcess } from '../helpers/server-process.ts'

/** An odd number, for the median. */
const ROUNDS = 3
/** The connections of one round. */
const CONNECTIONS = LONG ? 16_700 : 500
const WARM_UP = LONG ? 2000 : 800
/**
 * The most heap growth of one round after a collection, in bytes for each connection. In the long
 * run it is less than one leaked entry of a Map or Set (about 100). The short run has the noise of
 * a warm heap, 0.1 MiB a round, so it allows more: a leaked state, timer or socket has over 700.
 * The median counts, because a leak adds to every round, late compilation only to some, and the
 * first collection after the warm-up frees some.
 */
const MOST_BYTES_EACH = LONG ? 42 : 400
/**
 * The most sockets, requests, signals and timers after each churn: the listener, the pipe to the
 * parent and a few of Node (3 were measured).
 */
const MOST_OBJECTS = 8
/** These connections stay open while the others come and go. */
const CROWD = LONG ? 500 : 200
/** The number of workers. Each opens its next connection when its previous one has ended. */
const WORKERS = LONG ? 500 : 200

/**
 * A way for a connection to begin, be used and end.
 */
interface Way {
  readonly request: string
  /** What the client must get: the status, the messages, the close code. */
  readonly expected: string
  /** Bytes that are sent in the packet of the handshake. */
  readonly firstFrames?: Uint8Array
  /** When the client acts. Default: after the echo. */
  readonly when?: 'at once' | 'open'
  readonly act?: (client: RawClient) => void
  /**
   * Whether the client answers pings and close frames. If not, the server must destroy the socket.
   */
  readonly answers?: boolean
  /** The longest time without an event. */
  readonly quietMs?: number
}

const HELLO = text('hello')
const INVALID_UTF8 = Buffer.from([0xff, 0xfe])
const DEFLATE = { 'Sec-WebSocket-Extensions': 'permessage-deflate' }
// Long enough that the server compresses it too.
const DEFLATED = deflateRawSync('hello'.repeat(500), {
  finishFlush: constants.Z_SYNC_FLUSH
}).subarray(0, -4)
const writes =
  (...frames: Uint8Array[]) =>
    (client: RawClient): void => {
      client.write(Buffer.concat(frames))
    }
const resets = ({ socket }: RawClient): void => { socket.resetAndDestroy() }
const echo = handshake('/echo')
const afterEcho = (act: (client: RawClient) => void, expected: string, request = echo): Way => ({
  request,
  firstFrames: HELLO,
  act,
  expected: `101 hello ${expected}`.trimEnd()
})
const deflate = (act: (client: RawClient) => void, code: string): Way => ({
  request: handshake('/deflate', DEFLATE),
  firstFrames: frame(1, DEFLATED, { rsv: 4 }),
  act,
  expected: `101 ${DEFLATED.toString()} ${code}`
})

const WAYS: Readonly<Record<string, Way>> = {
  'client closes with a code': afterEcho(writes(closeFrame(4001, 'bye')), '4001'),
  'client closes without a code': afterEcho(writes(closeFrame()), '1005'),
  'client closes, and terminate is slow': afterEcho(
    writes(closeFrame(1000)),
    '1000',
    handshake('/echo?slow')
  ),
  'client ends TCP without a close frame': afterEcho(({ socket }) => socket.end(), ''),
  'client resets': afterEcho(resets, ''),
  'client resets, and terminate is slow': afterEcho(resets, '', handshake('/echo?slow')),
  'client resets while a callback runs': afterEcho((client) => {
    client.socket.write(text('busy'), () => resets(client))
  }, ''),
  'client resets during an async init': {
    request: handshake('/init-slow'),
    when: 'open',
    act: resets,
    expected: '101'
  },
  'client resets during a hook': {
    request: handshake('/slow-hook'),
    when: 'at once',
    act: resets,
    expected: ''
  },
  'client resets right away': { request: echo, when: 'at once', act: resets, expected: '' },
  'client sends and closes in the packet of the handshake': {
    request: echo,
    firstFrames: Buffer.concat([HELLO, closeFrame(1000)]),
    expected: '101 hello 1000'
  },
  'handler stops': afterEcho(writes(text('stop')), '1000'),
  'handler stops after an async init': afterEcho(
    writes(text('stop')),
    '1000',
    handshake('/init-slow')
  ),
  'handler stops and the client never answers': {
    ...afterEcho(writes(text('stop')), '1000'),
    answers: false
  },
  'handler stops with infos and frames waiting': afterEcho(
    writes(text('infos'), ...Array<Buffer>(20).fill(HELLO)),
    '4000'
  ),
  'a timer stops': afterEcho(writes(text('restart')), '1012'),
  'handler stops while its connection is paused': afterEcho(writes(text('paused')), '1000'),
  'handler throws': afterEcho(writes(text('throw')), '1011'),
  'handler throws, and terminate is slow': afterEcho(
    writes(text('throw')),
    '1011',
    handshake('/echo?slow')
  ),
  'handler rejects': afterEcho(writes(text('reject')), '1011'),
  'handler returns nonsense': afterEcho(writes(text('nonsense')), '1011'),
  'client closes after a ping and a message to another connection': afterEcho(
    writes(frame(9, 'ping'), text('neighbour'), closeFrame(1000)),
    'told 1000'
  ),
  'init throws': { request: handshake('/init-throws'), firstFrames: HELLO, expected: '101 1011' },
  'reserved opcode': afterEcho(writes(frame(3)), '1002'),
  'lone continuation': afterEcho(writes(frame(0, 'x')), '1002'),
  'invalid UTF-8': afterEcho(writes(frame(1, INVALID_UTF8)), '1007'),
  'a message too big': afterEcho(writes(binary(new Uint8Array(65))), '1009', handshake('/small')),
  'rate limit': afterEcho(writes(HELLO, HELLO), 'hello 1008', handshake('/limited')),
  idle: afterEcho(() => {}, '1000', handshake('/idle')),
  'no answer to a heartbeat': {
    ...afterEcho(() => {}, '', handshake('/heartbeat')),
    answers: false
  },
  'deflate, closed by the client': deflate(writes(closeFrame(1000)), '1000'),
  'invalid deflate data': deflate(
    writes(frame(1, Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 })),
    '1007'
  ),
  'refused by a hook': { request: handshake('/forbidden'), firstFrames: HELLO, expected: '401' },
  'refused by a hook that fails': { request: handshake('/fails'), expected: '500' },
  'refused by a schema': { request: handshake('/schema'), expected: '400' },
  'refused for its origin': {
    request: handshake('/echo', { Origin: 'https://elsewhere.example' }),
    expected: '403'
  },
  'refused for its version': {
    request: handshake('/echo', { 'Sec-WebSocket-Version': '8' }),
    expected: '426'
  },
  'refused for its key': {
    request: handshake('/echo', { 'Sec-WebSocket-Key': 'none' }),
    expected: '400'
  },
  'no upgrade at all': {
    request: handshake('/echo', { Upgrade: undefined, Connection: 'close' }),
    expected: '426'
  },
  'no such route': { request: handshake('/nowhere'), expected: '404' },
  'a hook that never answers': { request: handshake('/stuck'), expected: '503' }
}

/** Runs one connection. Resolves with what its client got, rejects after `quietMs` of silence. */
function runConnection (
  port: number,
  { request, firstFrames, when, act, answers = true, quietMs = 20_000 }: Way,
  alive: Set<RawClient>
): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = new RawClient(connect({ port, host: '127.0.0.1' }))
    const { socket } = client
    alive.add(client)
    let acted = act === undefined
    const actOnce = (): void => { acted = true; act?.(client) }
    const begin =
      Buffer.concat([Buffer.from(request), firstFrames ?? Buffer.alloc(0)])
    socket.write(begin, () => { if (when === 'at once') actOnce() })
    socket.on('data', () => {
      if (
        !acted &&
        (when === 'open' ? client.text.includes('\r\n\r\n') : client.frames().length > 0)
      ) {
        return actOnce()
      }
      if (!acted || !answers || client.status !== 101) return
      const opcode = client.frames().at(-1)?.opcode
      if (opcode === 8) socket.end(closeFrame(1000))
      else if (opcode === 9) socket.write(frame(10))
    })
    socket.setTimeout(quietMs, () => {
      reject(new Error(`stalled: ${request.slice(0, 40)} ${describe(client)}`))
      socket.destroy()
    })
    socket.on('close', () => {
      alive.delete(client)
      resolve(describe(client))
    })
  })
}

/** What the client got: the status, the messages, the close code. */
function describe (client: RawClient): string {
  if (client.bytes.length === 0) return ''
  if (client.status !== 101) return String(client.status)
  const words = client.frames().filter(({ opcode }) => opcode < 9).map(({ opcode, payload }) =>
    opcode !== 8 ? payload.toString() : payload.length < 2 ? 1005 : payload.readUInt16BE(0))
  return ['101', ...words].join(' ')
}

interface Report {
  inits: number
  terminates: number
  doubled: number
  peak: number
  cpu: NodeJS.CpuUsage
  connections: number
  stillOpen: number
  heapUsed: number
  external: number
  rss: number
  resources: Record<string, number>
  listeners: Record<string, Record<string, number>>
}

// The server uses 1 ms of one core for each connection: 50 000 take 50 to 80 s on two cores, and
// 140 s beside four other processes.
const TIMEOUT_MS = 280_000
t.setTimeout(TIMEOUT_MS + 10_000)

void t.test(
  `${ROUNDS} times ${CONNECTIONS} connections that end in every way leave no objects behind`,
  { timeout: TIMEOUT_MS },
  async (t) => {
    const server = await startServerProcess(t, 'churn-server.js', ['--expose-gc'])
    const alive = new Set<RawClient>()
    t.teardown(() => {
      for (const { socket } of alive) socket.destroy()
    })
    const ways = Object.entries(WAYS)
    const wrong: Record<string, Record<string, number>> = {}
    const tryWay = async (name: string, way: Way): Promise<void> => {
      const saw = await runConnection(server.port, way, alive)
      if (saw === way.expected) return
      const of = (wrong[name] ??= {})
      of[saw] = (of[saw] ?? 0) + 1
    }
    const churn = async (connections: number): Promise<void> => {
      const leave = await gather((way) => tryWay('one of the crowd', way))
      let left = connections - CROWD
      const worker = async (): Promise<void> => {
        while (left > 0) await tryWay(...(ways[left-- % ways.length] as [string, Way]))
      }
      await Promise.all(Array.from({ length: WORKERS }, worker))
      await leave()
    }

    await churn(WARM_UP)
    const before = await server.ask<Report>('report', 40_000)
    const reports = [before]
    const from = performance.now()
    for (let round = 0; round < ROUNDS; round++) {
      await churn(CONNECTIONS)
      reports.push(await server.ask<Report>('report', 40_000))
    }
    const seconds = (performance.now() - from) / 1000
    const after = reports.at(-1) as Report

    t.comment(
      `${ROUNDS * CONNECTIONS} connections in ${seconds.toFixed(1)} s, ${ways.length} ways, ` +
      `${after.peak} at once`
    )
    for (const { heapUsed, external, rss, cpu } of reports) {
      t.comment(
        `heap ${mib(heapUsed)} external ${mib(external)} RSS ${mib(rss)} MiB, ` +
        `CPU ${Math.round((cpu.user + cpu.system) / 1e6)} s`
      )
    }
    t.same(wrong, {}, 'each client got the expected frames')
    t.ok(after.peak >= CROWD + 1, `at least ${CROWD} were open at once`)
    t.equal(after.connections, 0, 'no socket is left')
    t.ok(after.inits > (ROUNDS * CONNECTIONS) / 2, 'more than half of them had a state')
    t.equal(after.terminates, after.inits, 'terminate ran for each of them')
    t.equal(after.doubled, 0, 'terminate ran at most once for each')
    t.same(after.listeners, before.listeners, 'no listener of the servers and the process is left')
    t.same(
      withoutTimers(after.resources),
      withoutTimers(before.resources),
      'as many open resources as before'
    )
    const objects = await server.ask<Record<string, number>>('objects', 40_000)
    t.equal(Object.keys(objects).length, 5)
    for (const [name, count] of Object.entries(objects)) {
      t.ok(count <= MOST_OBJECTS, `${count} ${name} objects are left`)
    }
    for (const kind of ['heapUsed', 'external'] as const) {
      const growths = reports
        .slice(1)
        .map((report, i) => report[kind] - (reports[i] as Report)[kind])
        .sort((a, b) => a - b)
      const median = growths[(ROUNDS - 1) / 2] as number
      t.ok(
        median < MOST_BYTES_EACH * CONNECTIONS,
        `the median round added ${mib(median)} MiB to ${kind}`
      )
    }
    const ms = await server.ask<number>('close')
    t.comment(`app.close() took ${Math.round(ms)} ms`)
    t.equal(await server.exited, 0, 'nothing keeps the process alive')
  }
)

/**
 * Opens the crowd. Resolves, when all are connected, with a function that makes them send once more
 * and leave.
 */
async function gather (join: (way: Way) => Promise<void>): Promise<() => Promise<void>> {
  const inside: RawClient[] = []
  let gathered: Promise<unknown> = Promise.resolve()
  await new Promise<void>((resolve, reject) => {
    const act = (client: RawClient): void => { if (inside.push(client) === CROWD) resolve() }
    const way: Way = {
      request: echo,
      firstFrames: HELLO,
      act,
      quietMs: 200_000,
      expected: '101 hello hello 1000'
    }
    gathered = Promise.all(Array.from({ length: CROWD }, () => join(way)))
    gathered.catch(reject)
  })
  return async () => {
    for (const client of inside) client.write(Buffer.concat([HELLO, closeFrame(1000)]))
    await gathered
  }
}

/** Leaves out immediates and timers, which the report itself creates. */
function withoutTimers (
  { Immediate, Timeout, ...others }: Record<string, number>
): Record<string, number> {
  return others
}

function mib (bytes: number): string {
  return (bytes / 1048576).toFixed(2)
}
