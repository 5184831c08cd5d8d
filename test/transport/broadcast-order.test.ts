import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketContext } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { FUZZ_SEED, pick, randomFrom, type Random } from '../helpers/random.ts'
import {
  closeFrame,
  connectRaw,
  frame,
  handshake,
  text,
  words,
  type RawClient
} from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

// `FUZZ_TRIAL=12` repeats trial 12. `FAN_OUT_TRIALS=10000` sets the number of trials.
const TRIALS = Number(process.env.FAN_OUT_TRIALS ?? 200)
const ONLY = process.env.FUZZ_TRIAL
const TOPICS = ['one', 'two']
const KINDS = {
  plain: {},
  wait: { slowPeer: 'wait' },
  narrow: { maxBufferedBytes: 4096, slowPeer: 'wait' },
  compressed: { compress: true }
} as const
/**
 * The kinds for trials with long messages. They leave out `compressed`, because the raw client does
 * not inflate.
 */
const LONG_KINDS = ['plain', 'wait', 'narrow'] as const
const LONG = 'x'.repeat(30_000)

t.setTimeout(Math.max(180_000, TRIALS * 100))

/** One action of a callback. All actions run in the tick in which the message was read. */
type Step =
  | { do: 'broadcast', topic: string, except: number, text: string, long?: boolean }
  | { do: 'subscribe' | 'unsubscribe', who: number, topic: string }
  | { do: 'readBufferedBytes', who: number }
interface Script { steps: Step[], push: string[], stop?: boolean }

/**
 * A connection, and the frames that its peer must get. A broadcast is due at once. A broadcast on a
 * topic to which the running callback has subscribed is held until the result of that callback.
 */
interface Member {
  readonly ws: WebsocketContext<string, string, unknown>
  readonly topics: Set<string>
  readonly due: string[]
  readonly fresh: Set<string>
  readonly held: string[]
  open: boolean
}

function close (member: Member): void {
  member.open = false
  member.due.push('8 1000')
}

class Room {
  readonly members: Member[] = []

  constructor (readonly server: () => TestServer) {}

  run (own: Member, { steps, push, stop = false }: Script): unknown {
    for (const step of steps) this.#do(step, own)
    own.due.push(...push.map((text) => `1 ${text}`), ...own.held.splice(0))
    own.fresh.clear()
    if (stop) {
      close(own)
      return own.ws.stop('normal', 1000, push)
    }
    return push.length > 0 ? own.ws.push(push) : undefined
  }

  #do (step: Step, own: Member): void {
    if (step.do === 'broadcast') {
      const left = this.members[step.except]
      const { websock } = this.server().app
      const text = `${step.text}${step.long === true ? LONG : ''}`
      websock.broadcast(step.topic, text, left === undefined ? {} : { except: left.ws.ref })
      for (const member of this.members) {
        if (member === left || !member.open || !member.topics.has(step.topic)) continue
        (member.fresh.has(step.topic) ? member.held : member.due).push(`1 ${text}`)
      }
      return
    }
    const member = this.members[step.who]
    if (member?.open !== true) return
    if (step.do === 'readBufferedBytes') member.ws.bufferedBytes.toFixed()
    else {
      member.ws[step.do](step.topic)
      member.topics[step.do === 'subscribe' ? 'add' : 'delete'](step.topic)
      if (step.do === 'subscribe' && member === own) own.fresh.add(step.topic)
    }
  }
}

async function startRooms (t: Teardown): Promise<TestServer & { rooms: Map<string, Room> }> {
  const rooms = new Map<string, Room>()
  const server = await startServer(t, (app) => {
    for (const [kind, websocketOptions] of Object.entries(KINDS)) {
      app.get(`/${kind}/:room`, {
        schema: {
          params: Type.Object({ room: Type.String() }),
          querystring: Type.Object({ topics: Type.String() })
        },
        websocketOptions,
        websocketHandler: {
          init: ({ params, query }, ws) => {
            const topics = new Set(query.topics.split('-').filter(Boolean))
            for (const topic of topics) ws.subscribe(`${params.room} ${topic}`)
            const room = rooms.get(params.room) as Room
            const member: Member = {
              ws: ws as never,
              topics: new Set([...topics].map((topic) => `${params.room} ${topic}`)),
              due: ['1 ready'],
              fresh: new Set(),
              held: [],
              open: true
            }
            room.members.push(member)
            return ws.push('ready', { room, member })
          },
          handleIn: ({ data }, { room, member }) =>
            room.run(member, JSON.parse(String(data)) as Script) as never,
          // The pong has been sent.
          handleControl: (_frame, { member }) => { member.due.push('10 ') }
        }
      })
    }
  })
  return { ...server, rooms }
}

function buildScript (random: Random, room: string, long: boolean, count: () => number): Script {
  const topic = (): string => `${room} ${pick(random, TOPICS)}`
  const steps = Array.from({ length: random(6) }, (): Step => {
    const choice = random(10)
    if (choice < 7) {
      return {
        do: 'broadcast',
        topic: topic(),
        except: random(12),
        text: `${count()}`,
        long: long && random(3) === 0
      }
    }
    if (choice === 9) return { do: 'readBufferedBytes', who: random(5) }
    return { do: choice === 7 ? 'subscribe' : 'unsubscribe', who: random(5), topic: topic() }
  })
  return {
    steps,
    push: Array.from({ length: Math.max(0, random(6) - 3) }, () => `own ${count()}`),
    stop: random(12) === 0
  }
}

/** One chunk of a client: messages and pings. */
function buildChunk (random: Random, room: string, long: boolean): Buffer[] {
  let number = 0
  return Array.from({ length: 1 + random(5) }, () =>
    random(3) === 0
      ? frame(9)
      : text(JSON.stringify(buildScript(random, room, long, () => number++)))
  )
}

const shorten = (lines: string[]): string[] =>
  lines.map((line) => (line.length > 40 ? `${line.slice(0, 20)}… ${line.length}` : line))

void t.test('random broadcasts arrive in the order of their calls', async (t) => {
  const server = await startRooms(t)
  const counts = { trials: 0, frames: 0, closed: 0 }
  for (let n = Number(ONLY ?? 0); n < (ONLY === undefined ? TRIALS : Number(ONLY) + 1); n++) {
    const random = randomFrom(FUZZ_SEED * 17 + n)
    const [name, long] = [`room ${n}`, random(3) === 0]
    const room = new Room(() => server)
    server.rooms.set(name, room)
    const clients: RawClient[] = []
    for (let member = 0; member < 5; member++) {
      const kind = pick(
        random,
        long ? (member > 0 ? [...LONG_KINDS, 'narrow'] : LONG_KINDS) : Object.keys(KINDS)
      )
      const topics = TOPICS.filter(() => random(4) > 0).join('-')
      const client = await connectRaw(t, server.port)
      clients.push(client.write(handshake(
        `/${kind}/${encodeURIComponent(name)}?topics=${topics}`,
        kind === 'compressed'
          ? {
              'Sec-WebSocket-Extensions':
                'permessage-deflate; server_no_context_takeover; client_no_context_takeover'
            }
          : {}
      )))
      await client.until(() => client.frames().length === 1)
    }
    const [sender, member] = [clients[0] as RawClient, room.members[0] as Member]
    const closes = random(3) === 0
    sender.write(
      Buffer.concat([...buildChunk(random, name, long), ...(closes ? [closeFrame(1000)] : [])])
    )
    if (closes) {
      await sender.until(() => words(sender).includes('8 1000'))
      if (member.open) close(member)
    }
    // When its answer has arrived, everything that was sent before has been handled.
    const end = text(JSON.stringify({
      steps: TOPICS.map((topic) => ({
        do: 'broadcast',
        topic: `${name} ${topic}`,
        except: -1,
        text: `end of ${topic}`
      })),
      push: ['end']
    }))
    clients[1]?.write(end)
    await clients[1]?.until(() => words(clients[1] as RawClient).includes('1 end'))
    for (const [i, client] of clients.entries()) {
      const due = room.members[i]?.due ?? []
      await client.until(() => client.frames().length >= due.length)
      counts.frames += due.length
      counts.closed += due.at(-1) === '8 1000' ? 1 : 0
      if (JSON.stringify(words(client)) !== JSON.stringify(due)) {
        return t.same(
          shorten(words(client)),
          shorten(due),
          `FUZZ_SEED=${FUZZ_SEED} FUZZ_TRIAL=${n}, member ${i}`
        )
      }
    }
    for (const client of clients) client.socket.destroy()
    server.rooms.delete(name)
    counts.trials++
  }
  t.ok(
    ONLY !== undefined || counts.frames > TRIALS * 10,
    `seed ${FUZZ_SEED}: ${JSON.stringify(counts)}`
  )
})

void t.test('broadcasts wait for the result of the callback that subscribed', async (t) => {
  let load = (): void => {}
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: async (_args, ws) => {
          ws.subscribe('prices')
          const snapshot = 'price 0'
          await new Promise<void>((resolve) => { load = resolve })
          return ws.push(snapshot)
        },
        handleIn: (_message, _state, ws) => {
          ws.subscribe('mine')
          app.websock.broadcast('mine', 'after')
          app.websock.broadcast('prices', 'price 3')
          return ws.push('result')
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  for (const price of ['price 1', 'price 2']) server.app.websock.broadcast('prices', price)
  load()
  for (const expected of ['price 0', 'price 1', 'price 2']) t.equal(await client.next(), expected)
  client.send('more')
  for (const expected of ['price 3', 'result', 'after']) t.equal(await client.next(), expected)
  server.app.websock.broadcast('mine', 'live')
  t.equal(await client.next(), 'live')
})

void t.test('broadcasts wait only for the callback that subscribed', async (t) => {
  let load = (): void => {}
  let price = 1
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('prices')
          return ws.push('ready')
        },
        handleIn: async ({ data }, _state, ws) => {
          if (data === 'load') ws.subscribe('prices')
          const loaded = price
          await new Promise<void>((resolve) => {
            load = resolve
            ws.send('loading')
          })
          return ws.push(`loaded ${loaded}`)
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  t.equal(await client.next(), 'ready')
  for (const [data, expected] of [
    ['load', ['loaded 1', 'price 2']],
    ['peek', ['price 3', 'loaded 2']]
  ] as const) {
    client.send(data)
    t.equal(await client.next(), 'loading')
    price++
    server.app.websock.broadcast('prices', `price ${price}`)
    load()
    for (const one of expected) t.equal(await client.next(), one, data)
  }
})

void t.test('broadcasts that wait for a callback are bounded by maxBufferedBytes', async (t) => {
  for (const [slowPeer, code] of [['close', 1013], ['drop', 0]] as const) {
    let load = (): void => {}
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { maxBufferedBytes: 1024, slowPeer },
        websocketHandler: {
          init: async (_args, ws) => {
            ws.subscribe('all')
            await new Promise<void>((resolve) => { load = resolve })
            return ws.push('snapshot')
          },
          handleIn: (_message, _state, ws) => ws.push(`dropped ${ws.droppedMessages}`)
        }
      })
    })
    const client = await connect(t, server.url('/'))
    for (let n = 0; n < 10; n++) server.app.websock.broadcast('all', 'x'.repeat(500))
    load()
    t.equal(await client.next(), 'snapshot')
    if (code > 0) t.equal((await client.closed).code, code)
    else {
      client.send('?')
      for (let n = 0; n < 3; n++) await client.next()
      t.equal(await client.next(), 'dropped 7')
    }
  }
})
