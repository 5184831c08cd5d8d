import t from 'tap'
import { once, EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import type { PresenceEntry } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

const FRAMES = 3000

/** What else reaches a connection whose frames are held back, and what it says when that is handled. */
const besides = ['nothing', 'an interval', 'a publication', 'presence', 'a ref', 'a broadcast'] as const

for (const beside of besides) {
  void t.test(`3 000 frames at once to an async handler are all answered, beside ${beside}`, async (t) => {
    let told = 0
    let handled = 0
    const events = new EventEmitter()
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            ws.subscribe('room')
            if (beside === 'an interval') ws.postInterval('tick', 1)
            return ws.push(ws.ref.address)
          },
          handleIn: async (message, _state, ws) => {
            if (++handled === 1) {
              events.emit('first')
              await once(events, 'go')
            }
            await turn()
            return ws.push(message)
          },
          handleInfo: () => { told++ },
          handlePresence: () => { told++ }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    const address = String(await client.next())
    const first = once(events, 'first')
    for (let i = 0; i < FRAMES; i++) client.send(String(i))
    await first
    // Its answer proves that the server's loop has turned: reading has stopped by then.
    for (let i = 0; i < 20; i++) await server.app.inject('/')
    const act = (): boolean | void => {
      if (beside === 'a publication') return server.app.websock.publish('room', 'news')
      if (beside === 'presence') return server.app.websock.track('room', 'ann')
      if (beside === 'a ref') return server.app.websock.ref(address).post('info')
      if (beside === 'a broadcast') return server.app.websock.broadcast('room', 'hello')
    }
    t.not(act(), false, 'it is taken')
    events.emit('go')
    const answers: string[] = []
    while (answers.length < FRAMES) {
      const answer = String(await client.next(20_000))
      if (answer !== 'hello') answers.push(answer)
    }
    t.same(answers, Array.from({ length: FRAMES }, (_, i) => String(i)))
    t.equal(told > 0, beside !== 'nothing' && beside !== 'a broadcast', 'and the handler was told')
  })
}

void t.test('2 000 publications in one tick close nobody, and 16 384 infos may wait', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => { ws.subscribe('room'); return ws.push('ready') },
        handleInfo: (info, _state, ws) => ws.push(String(info))
      }
    })
  })
  const clients = await Promise.all([1, 2, 3].map(() => connect(t, server.url('/'))))
  for (const client of clients) t.equal(await client.next(), 'ready')
  for (const count of [2000, 16_384]) {
    for (let i = 0; i < count; i++) server.app.websock.publish('room', i)
    for (const client of clients) {
      const got: string[] = []
      while (got.length < count) got.push(String(await client.next()))
      t.same(got, Array.from({ length: count }, (_, i) => String(i)))
    }
  }
  for (let i = 0; i < 16_385; i++) server.app.websock.publish('room', i)
  for (const client of clients) t.equal((await client.closed).code, 1013)
})

void t.test('the error of a full mailbox names the option to change', async (t) => {
  const errors: Array<Error & { code?: string }> = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { maxMailboxInfos: 3 },
      websocketHandler: {
        handleIn: (_message, _state, ws) => { for (let i = 0; i < 4; i++) ws.post(i) },
        terminate: (reason) => { if (reason.type === 'error') errors.push(reason.error as Error) }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send('go')
  t.equal((await client.closed).code, 1013)
  t.equal(errors[0]?.code, 'FST_WEBSOCK_MAILBOX_FULL')
  t.equal(errors[0]?.message, 'The mailbox is full: 3 infos wait, as many as `maxMailboxInfos` allows. Handle infos faster, publish fewer, raise that option, or set `infoOverflow` to "drop"')
  t.equal(server.logs[0]?.err?.message, errors[0]?.message)
})

void t.test('gaps and presence reach a connection that is too slow for its topic, and what it knows of presence stays right', async (t) => {
  const network = new MemoryNetwork()
  const events = new EventEmitter()
  const view = new Map<string, PresenceEntry>()
  const gaps: number[] = []
  let dropped = 0
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { infoOverflow: 'drop', maxMailboxInfos: 10 },
      websocketHandler: {
        init: (_args, ws) => { ws.subscribe('room'); return ws.push('ready') },
        handleInfo: async (info, _state, ws) => {
          dropped = ws.droppedInfos
          if (info === 'last') return ws.push('last')
          if (info !== 'hold') return
          events.emit('holds')
          await once(events, 'go')
        },
        handleGap: ({ ms }) => { gaps.push(ms) },
        handlePresence: ({ joins, leaves }) => {
          for (const { key } of leaves) view.delete(key)
          for (const entry of joins) view.set(entry.key, entry)
        }
      }
    })
  }, { websock: { engine: network.createEngine() } })
  const { websock } = server.app
  const client = await connect(t, server.url('/'))
  t.equal(await client.next(), 'ready')
  t.equal(await websock.subscriptionReady('room'), true)
  websock.publish('room', 'hold')
  await once(events, 'holds')
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20; i++) websock.publish('room', i)
    websock.track('room', `user ${round}`, { round })
    if (round % 3 === 0) websock.untrack('room', `user ${round - 1}`)
    if (round % 5 === 0) websock.track('room', 'ann', { round })
    await turn()
    await turn()
  }
  for (let i = 0; i < 2; i++) {
    network.goDown()
    while (websock.ready()) await turn()
    network.goUp()
    while (!websock.ready()) await turn()
  }
  for (let i = 0; i < 3; i++) await turn()
  t.equal(view.size, 0, 'nothing was handled meanwhile')
  events.emit('go')
  while (gaps.length === 0) await turn()
  for (let i = 0; i < 20; i++) await turn()
  t.equal(gaps.length, 1, 'two gaps are one')
  const byKey = (one: PresenceEntry, two: PresenceEntry): number => one.key < two.key ? -1 : 1
  t.same([...view.values()].sort(byKey), websock.presence('room').sort(byKey))
  t.ok(view.size > 10)
  websock.publish('room', 'last')
  t.equal(await client.next(), 'last')
  t.equal(dropped, 20 * 20 - 10, 'infos were dropped and counted')
})

void t.test('of drains that wait one is told, with the earliest end', async (t) => {
  const events = new EventEmitter()
  const drains: number[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn: async (_message, _state, ws) => {
          events.emit('holds')
          await once(events, 'go')
          return ws.push('held')
        },
        handleDrain: ({ timeoutMs }) => { drains.push(timeoutMs) }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  const ends = [5000, 3000, 4000].map(async (timeoutMs) => server.app.websock.drain({ timeoutMs }))
  t.equal((await client.closed).code, 1012)
  await Promise.all(ends)
  t.same(drains, [3000])
})
