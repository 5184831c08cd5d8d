import t from 'tap'
import type { WebsocketContext } from '../src/index.ts'
import { setClock } from './helpers/clock.ts'
import { gatherCrowd } from './helpers/crowd.ts'
import { connectRaw, handshake, text, type RawClient } from './helpers/raw.ts'
import { startServer, type Teardown } from './helpers/server.ts'

// Time stands still, until a test has it otherwise.
setClock(t, 0)
const gathering = gatherCrowd(t)

/** Opens so many connections and sends each a message in one go. Gives how many answers waited when each was handled, in their order. */
async function countWaiting (t: Teardown, messages: string[], { whenOpen = () => {}, onMessage = (_number: number) => {}, asynchronous = false, busy = true } = {}): Promise<number[]> {
  const handled: Array<WebsocketContext<string, unknown, unknown>> = []
  const waiting: number[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_request, ws) => ws.push('ready'),
        handleIn: (_message, _state, ws) => {
          waiting.push(handled.filter(({ bufferedBytes }) => bufferedBytes > 0).length)
          handled.push(ws as never)
          onMessage(handled.length)
          const answer = ws.push('answer')
          return asynchronous ? Promise.resolve(answer) : answer
        }
      }
    })
  })
  const clients: RawClient[] = []
  while (clients.length < messages.length) {
    const client = (await connectRaw(t, server.port)).write(handshake('/'))
    clients.push(await client.until(() => client.frames().length === 1))
  }
  if (busy) await (await gathering).work()
  whenOpen()
  // The kernel has all of them before the server reads the first.
  for (const [i, message] of messages.entries()) clients[i]?.write(text(message))
  for (const client of clients) {
    await client.until(() => client.frames().length === 2)
    t.teardown(() => client.socket.destroy())
  }
  return waiting
}

void t.test('answers to the reads of one turn are written when all have been handled', async (t) => {
  t.same(await countWaiting(t, Array<string>(10).fill('short')), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

void t.test('those of async handlers, too, which give them in the tick of the read', async (t) => {
  t.same(await countWaiting(t, Array<string>(10).fill('short'), { asynchronous: true }), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

void t.test('32 of them at most', async (t) => {
  const waiting = await countWaiting(t, Array<string>(70).fill('short'))
  t.same(waiting, Array.from(waiting, (_, i) => i % 32))
})

void t.test('not behind a long read', async (t) => {
  t.same(await countWaiting(t, ['short', 'short', 'long '.repeat(1000), 'short']), [0, 1, 0, 1])
})

void t.test('not after a quarter of a millisecond', async (t) => {
  // The first read ends in time; the second too late. Then the third begins.
  t.same(await countWaiting(t, Array<string>(4).fill('short'), { onMessage: (number) => setClock(t, number === 1 ? 0.25 : 0.26) }), [0, 1, 0, 1])
})

void t.test('in which the time counts that an async handler takes', async (t) => {
  t.same(await countWaiting(t, Array<string>(4).fill('short'), { asynchronous: true, onMessage: (number) => setClock(t, number) }), [0, 0, 0, 0])
})

/** Sends an info to so many connections in one tick. Gives how many answers waited when each was handled. */
async function countWaitingInTick (t: Teardown, connections: number, whenOpen = () => {}): Promise<number[]> {
  const opened: Array<WebsocketContext<string, unknown, unknown>> = []
  const waiting: number[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_request, ws) => {
          opened.push(ws as never)
          return ws.push('ready')
        },
        handleInfo: (_info, _state, ws) => {
          waiting.push(opened.filter(({ bufferedBytes }) => bufferedBytes > 0).length)
          return ws.push('answer')
        }
      }
    })
  })
  const clients: RawClient[] = []
  while (clients.length < connections) {
    const client = (await connectRaw(t, server.port)).write(handshake('/'))
    clients.push(await client.until(() => client.frames().length === 1))
  }
  whenOpen()
  for (const { ref } of opened) ref.post('info')
  for (const client of clients) {
    await client.until(() => client.frames().length === 2)
    t.teardown(() => client.socket.destroy())
  }
  return waiting
}

void t.test('answers to infos of one tick: 32 of them at most, and the one that goes on', async (t) => {
  const waiting = await countWaitingInTick(t, 70)
  t.same(waiting, Array.from(waiting, (_, i) => i === 0 ? 0 : (i - 1) % 32 + 1))
})

void t.test('and not after a quarter of a millisecond', async (t) => {
  let now = 0
  const waiting = await countWaitingInTick(t, 10, () => {
    setClock(t, 0)
    performance.now = () => now++
  })
  t.same(waiting, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1])
})

void t.test('the turn ends where an application has mocked setImmediate', async (t) => {
  const { setImmediate } = globalThis
  t.teardown(() => { globalThis.setImmediate = setImmediate })
  const waiting = await countWaiting(t, ['short', 'short'], {
    whenOpen: () => { globalThis.setImmediate = (() => {}) as never }
  })
  t.same(waiting, [0, 1])
})

void t.test('not where turns have fewer than sixteen answers, for the next hundred reads', async (t) => {
  const pair = ['short', 'short']
  let turns = 0
  t.same(await countWaiting(t, pair), [0, 1])
  while ((await countWaiting(t, pair, { busy: false }))[1] === 1) turns++
  t.ok(turns > 3 && turns < 20, `of ${turns} turns`)
  // Two of the hundred have been read.
  const waiting = await countWaiting(t, Array<string>(110).fill('short'), { busy: false })
  t.same(waiting, Array.from(waiting, (_, i) => Math.max(0, i - 98)))
})

// The last one: all that is read by this process from here on is answered at once.
void t.test('not where turns end late, for the next thousand reads', async (t) => {
  // The clock goes on behind the second read.
  const onMessage = (number: number): void => { if (number === 2) process.nextTick(() => setClock(t, 5)) }
  t.same(await countWaiting(t, ['short', 'short'], { onMessage }), [0, 1])
  const few = Array<string>(5).fill('short')
  t.same(await countWaiting(t, few, { busy: false }), [0, 0, 0, 0, 0])
  t.same(await countWaiting(t, few, { asynchronous: true, busy: false }), [0, 0, 0, 0, 0])
  const many = await countWaiting(t, Array<string>(900).fill('short'), { busy: false })
  t.same(many, Array<number>(900).fill(0))
})
