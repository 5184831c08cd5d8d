import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketContext } from '../src/index.ts'
import { FUZZ_SEED, pick, randomFrom, type Random } from './helpers/random.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from './helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from './helpers/server.ts'

// `FUZZ_TRIAL=12` repeats the one that failed, `FAN_OUT_TRIALS=10000` makes more of them.
const TRIALS = Number(process.env.FAN_OUT_TRIALS ?? 200)
const ONLY = process.env.FUZZ_TRIAL
const TOPICS = ['one', 'two']
const KINDS = { plain: {}, wait: { slowPeer: 'wait' }, narrow: { maxBufferedBytes: 4096, slowPeer: 'wait' }, 'by-ws': { fastLane: false }, compressed: { compress: true } } as const
/** With long messages: a raw client does not read compressed frames, and who ends does not get what waits in its mailbox. */
const KINDS_FOR_LONG = ['plain', 'wait', 'by-ws'] as const
const LONG = 'x'.repeat(30_000)

t.setTimeout(Math.max(60_000, TRIALS * 100))

/** What one callback does: all of it in the tick of the chunk that brought its message. */
type Step =
  | { do: 'broadcast', topic: string, except: number, text: string, long?: boolean }
  | { do: 'subscribe' | 'unsubscribe', who: number, topic: string }
  | { do: 'look', who: number }
interface Script { steps: Step[], push: string[], stop?: boolean }

/** A connection, and what its peer must get: broadcasts as if they were sent at once. */
interface Seat {
  readonly ws: WebsocketContext<string, string, unknown>
  readonly topics: Set<string>
  readonly due: string[]
  open: boolean
}

function close (seat: Seat): void {
  seat.open = false
  seat.due.push('8 1000')
}

class Table {
  readonly seats: Seat[] = []

  constructor (readonly server: () => TestServer) {}

  run (own: Seat, { steps, push, stop = false }: Script): unknown {
    for (const step of steps) this.#do(step)
    if (push.length > 0) own.due.push(...push.map((text) => `1 ${text}`))
    if (stop) {
      close(own)
      return own.ws.stop('normal', 1000, push)
    }
    return push.length > 0 ? own.ws.push(push) : undefined
  }

  #do (step: Step): void {
    if (step.do === 'broadcast') {
      const left = this.seats[step.except]
      const { websock } = this.server().app
      const text = `${step.text}${step.long === true ? LONG : ''}`
      websock.broadcast(step.topic, text, left === undefined ? {} : { except: left.ws.ref })
      for (const seat of this.seats) if (seat !== left && seat.open && seat.topics.has(step.topic)) seat.due.push(`1 ${text}`)
      return
    }
    const seat = this.seats[step.who]
    if (seat?.open !== true) return
    if (step.do === 'look') seat.ws.bufferedBytes.toFixed()
    else {
      seat.ws[step.do](step.topic)
      seat.topics[step.do === 'subscribe' ? 'add' : 'delete'](step.topic)
    }
  }
}

async function startTables (t: Teardown): Promise<TestServer & { tables: Map<string, Table> }> {
  const tables = new Map<string, Table>()
  const server = await startServer(t, (app) => {
    for (const [kind, websocketOptions] of Object.entries(KINDS)) {
      app.get(`/${kind}/:table`, {
        schema: { params: Type.Object({ table: Type.String() }), querystring: Type.Object({ topics: Type.String() }) },
        websocketOptions,
        websocketHandler: {
          init: ({ params, query }, ws) => {
            const topics = new Set(query.topics.split('-').filter(Boolean))
            for (const topic of topics) ws.subscribe(`${params.table} ${topic}`)
            const table = tables.get(params.table) as Table
            const seat: Seat = { ws: ws as never, topics: new Set([...topics].map((topic) => `${params.table} ${topic}`)), due: ['1 ready'], open: true }
            table.seats.push(seat)
            return ws.push('ready', { table, seat })
          },
          handleIn: ({ data }, { table, seat }) => table.run(seat, JSON.parse(String(data)) as Script) as never,
          // The pong has been sent.
          handleControl: (_frame, { seat }) => { seat.due.push('10 ') }
        }
      })
    }
  })
  return { ...server, tables }
}

function buildScript (random: Random, table: string, long: boolean, count: () => number): Script {
  const topic = (): string => `${table} ${pick(random, TOPICS)}`
  const steps = Array.from({ length: random(6) }, (): Step => {
    const choice = random(10)
    if (choice < 7) return { do: 'broadcast', topic: topic(), except: random(12), text: `${count()}`, long: long && random(3) === 0 }
    if (choice === 9) return { do: 'look', who: random(5) }
    return { do: choice === 7 ? 'subscribe' : 'unsubscribe', who: random(5), topic: topic() }
  })
  return { steps, push: Array.from({ length: Math.max(0, random(6) - 3) }, () => `own ${count()}`), stop: random(12) === 0 }
}

/** One chunk of a client: messages and pings. */
function buildChunk (random: Random, table: string, long: boolean): Buffer[] {
  let number = 0
  return Array.from({ length: 1 + random(5) }, () => random(3) === 0 ? frame(9) : text(JSON.stringify(buildScript(random, table, long, () => number++))))
}

function words (client: RawClient): string[] {
  return client.frames().map(({ opcode, payload }) => opcode === 8 ? `8 ${payload.readUInt16BE()}` : `${opcode} ${payload.toString()}`)
}

const short = (lines: string[]): string[] => lines.map((line) => line.length > 40 ? `${line.slice(0, 20)}… ${line.length}` : line)

void t.test('broadcasts that wait for the end of a tick come as if they had not', async (t) => {
  const server = await startTables(t)
  const counts = { trials: 0, frames: 0, closed: 0 }
  for (let n = Number(ONLY ?? 0); n < (ONLY === undefined ? TRIALS : Number(ONLY) + 1); n++) {
    const random = randomFrom(FUZZ_SEED * 17 + n)
    const [name, long] = [`table ${n}`, random(3) === 0]
    const table = new Table(() => server)
    server.tables.set(name, table)
    const clients: RawClient[] = []
    for (let seat = 0; seat < 5; seat++) {
      const kind = pick(random, long ? seat > 0 ? [...KINDS_FOR_LONG, 'narrow'] : KINDS_FOR_LONG : Object.keys(KINDS))
      const topics = TOPICS.filter(() => random(4) > 0).join('-')
      const client = await connectRaw(t, server.port)
      clients.push(client.write(handshake(`/${kind}/${encodeURIComponent(name)}?topics=${topics}`, kind === 'compressed' ? { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_no_context_takeover; client_no_context_takeover' } : {})))
      await client.until(() => client.frames().length === 1)
    }
    const [sender, seat] = [clients[0] as RawClient, table.seats[0] as Seat]
    const closes = random(3) === 0
    sender.write(Buffer.concat([...buildChunk(random, name, long), ...closes ? [closeFrame(1000)] : []]))
    if (closes) {
      await sender.until(() => words(sender).includes('8 1000'))
      if (seat.open) close(seat)
    }
    // Whatever came before it has been read when its answer is there.
    const end = text(JSON.stringify({ steps: TOPICS.map((topic) => ({ do: 'broadcast', topic: `${name} ${topic}`, except: -1, text: `end of ${topic}` })), push: ['end'] }))
    clients[1]?.write(end)
    await clients[1]?.until(() => words(clients[1] as RawClient).includes('1 end'))
    for (const [i, client] of clients.entries()) {
      const due = table.seats[i]?.due ?? []
      await client.until(() => client.frames().length >= due.length)
      counts.frames += due.length
      counts.closed += due.at(-1) === '8 1000' ? 1 : 0
      if (JSON.stringify(words(client)) !== JSON.stringify(due)) return t.same(short(words(client)), short(due), `FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}, seat ${i}`)
    }
    for (const client of clients) client.socket.destroy()
    server.tables.delete(name)
    counts.trials++
  }
  t.ok(ONLY !== undefined || counts.frames > TRIALS * 10, `seed ${FUZZ_SEED}: ${JSON.stringify(counts)}`)
})

void t.test('bufferedBytes counts a broadcast at once', async (t) => {
  const grown: number[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_request, ws) => { ws.subscribe('all') },
        handleIn: (_message, _state, ws) => {
          const before = ws.bufferedBytes
          for (let n = 0; n < 2; n++) app.websock.broadcast('all', 'x'.repeat(98))
          grown.push(ws.bufferedBytes - before)
        }
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/')).write(text('go'))
  await client.until(() => client.frames().length === 2)
  t.same(grown, [200])
})

void t.test("with slowPeer: 'wait' broadcasts and infos of one tick wait in their order", async (t) => {
  const seats: Array<WebsocketContext<string, string, unknown>> = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 64 * 1024 },
      websocketHandler: {
        init: (_request, ws) => { ws.subscribe('all'); seats.push(ws as never); return ws.push('ready') },
        handleInfo: (info, _state, ws) => ws.push(`info ${String(info)}`)
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  const { websock } = server.app
  let sent = 0
  // Each is more than the mark, and written at once: until TCP takes no more.
  for (; seats[0]?.bufferedBytes === 0; sent++) websock.broadcast('all', LONG.repeat(3))
  websock.broadcast('all', LONG.repeat(3))
  websock.broadcast('all', '1')
  websock.ref(seats[0]?.ref.address ?? '').send('2')
  websock.broadcast('all', '3')
  client.socket.resume()
  await client.until(() => client.frames().length === 1 + sent + 4)
  t.same(words(client).slice(1 + sent + 1), ['1 1', '1 info 2', '1 3'])
})

type Seated = WebsocketContext<string, string, unknown>

/** Broadcasts until TCP takes no more. */
async function clog (ws: Seated, broadcast: (message: string) => void): Promise<void> {
  while (ws.bufferedBytes === 0) {
    broadcast(LONG.repeat(3))
    for (let turns = 0; turns < 10; turns++) await nextTurn()
  }
}

void t.test('who ends while broadcasts are handed out, and broadcasts to others, changes nobody\'s audience', async (t) => {
  const seats = new Map<string, Seated>()
  const { app: { websock }, port } = await startServer(t, (app) => {
    app.get('/:topic', {
      schema: { params: Type.Object({ topic: Type.String() }) },
      websocketOptions: { maxBufferedBytes: 1024 },
      websocketHandler: {
        init: ({ params: { topic } }, ws) => { ws.subscribe(topic); seats.set(topic, ws as never); return ws.push('ready') },
        terminate: () => { websock.broadcast('left', 'somebody has left') }
      }
    })
  })
  const [slow, other, left] = await Promise.all(['slow', 'other', 'left'].map(async (topic) => {
    const client = (await connectRaw(t, port)).write(handshake(`/${topic}`))
    return await client.until(() => client.frames().length === 1)
  })) as [RawClient, RawClient, RawClient]
  slow.socket.pause()
  await clog(seats.get('slow') as Seated, (message) => websock.broadcast('slow', message))
  websock.broadcast('slow', 'too much')
  websock.broadcast('other', '1')
  websock.broadcast('left', '2')
  await Promise.all([other.until(() => words(other).includes('1 1')), left.until(() => words(left).includes('1 2'))])
  t.same(words(other), ['1 ready', '1 1'])
  t.same(words(left), ['1 ready', '1 somebody has left', '1 2'])
})

void t.test('a peer that closes, and is too slow for what its last message broadcast, gets one close frame', async (t) => {
  const seats: Seated[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { maxBufferedBytes: 1024 },
      websocketHandler: {
        init: (_request, ws) => { ws.subscribe('all'); seats.push(ws as never); return ws.push('ready') },
        handleIn: () => { app.websock.broadcast('all', 'too much') }
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  const ws = seats[0] as Seated
  await clog(ws, (message) => server.app.websock.broadcast('all', message))
  client.write(Buffer.concat([text('go'), closeFrame(1000)]))
  while (!ws.signal.aborted) await nextTurn()
  client.socket.resume()
  await client.ended
  t.same(words(client).filter((word) => word.startsWith('8 ')), ['8 1013'])
})

void t.test('terminate comes at once when the broadcasts of a callback end its own connection', async (t) => {
  const reasons: string[] = []
  const seats: Seated[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 1024, maxMailboxLength: 2 },
      websocketHandler: {
        init: (_request, ws) => { ws.subscribe('all'); seats.push(ws as never); return ws.push('ready') },
        handleIn: async (_message, _state, ws) => {
          await clog(ws as never, (message) => app.websock.broadcast('all', message))
          for (let n = 0; n < 5; n++) app.websock.broadcast('all', 'too many')
        },
        terminate: ({ type }) => { reasons.push(type) }
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  client.write(text('go'))
  while (seats[0]?.signal.aborted !== true) await nextTurn()
  await nextTurn()
  t.same(reasons, ['error'])
  client.socket.destroy()
})

for (const [answered, bytes, answer] of [['ping', frame(9), '10 '], ['close frame', closeFrame(1000), '8 1000']] as const) {
  for (const kind of ['plain', 'by-ws'] as const) {
    void t.test(`${kind}: a broadcast goes before the answer to a ${answered} that is read later in its tick`, async (t) => {
      const server = await startServer(t, (app) => {
        app.get('/', {
          websocketOptions: KINDS[kind],
          websocketHandler: {
            init: ({ request }, ws) => { ws.subscribe('all'); return ws.push('ready', request.raw.socket) },
            handleIn: async (_message, socket, ws) => {
              ws.pause()
              client.write(bytes)
              while (socket.readableLength === 0) await nextTurn()
              ws.resume()
              app.websock.broadcast('all', 'before')
            }
          }
        })
      })
      const client = (await connectRaw(t, server.port)).write(handshake('/')).write(text('go'))
      await client.until(() => words(client).includes(answer))
      t.same(words(client), ['1 ready', '1 before', answer])
    })
  }
}

void t.test('broadcasts count what waits in the burst: a peer that never reads costs the mark and one message', async (t) => {
  const MARK = 64 * 1024
  const many = Array.from({ length: 60 }, () => 'x'.repeat(1000))
  const most: number[] = []
  const seats: Seated[] = []
  const { app: { websock }, port } = await startServer(t, (app) => {
    app.get('/:topic', {
      schema: { params: Type.Object({ topic: Type.String() }) },
      websocketOptions: { slowPeer: 'drop', maxBufferedBytes: MARK },
      websocketHandler: {
        init: ({ params: { topic } }, ws) => { ws.subscribe(topic); seats.push(ws as never); return ws.push('ready') },
        handleInfo: (info, _state, ws) => {
          if (info === 'push') return ws.push(many)
          for (const message of many) websock.broadcast(String(info), message)
          most.push(seats.at(-1)?.bufferedBytes ?? 0)
        }
      }
    })
  })
  const open = async (topic: string): Promise<RawClient> => {
    const client = (await connectRaw(t, port)).write(handshake(`/${topic}`))
    return await client.until(() => client.frames().length === 1)
  }
  await open('who broadcasts')
  // Each begins to fill the kernel with a little more: it is to be full behind the burst of some.
  for (let trial = 0; trial < 20; trial++) {
    const client = await open(`${trial}`)
    client.socket.pause()
    const ws = seats.at(-1) as Seated
    for (let n = 0; n < trial; n++) websock.broadcast(`${trial}`, 'x'.repeat(3000))
    while (ws.droppedMessages === 0) {
      // Handled one after the other, in one tick.
      websock.ref(ws.ref.address).send('push')
      websock.ref(seats[0]?.ref.address ?? '').send(`${trial}`)
      await nextTurn()
    }
    client.socket.destroy()
  }
  t.ok(Math.max(...most) <= MARK + 1004, `${Math.max(...most)} bytes`)
})
