import t from 'tap'
import { once, EventEmitter } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import type { PresenceEntry } from '../../src/index.ts'
import { createClient } from 'redis'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { ready, startNode, until } from '../helpers/cluster.ts'
import { startServer } from '../helpers/server.ts'

const FRAMES = 1500

/** Events that a connection gets while its reading is paused. */
const otherEvents = [
  'nothing',
  'an interval',
  'a publication',
  'presence',
  'a ref',
  'a broadcast'
] as const

for (const other of otherEvents) {
  void t.test(
    `1 500 frames at once to an async handler are all answered, with ${other} meanwhile`,
    async (t) => {
      let otherCalls = 0
      let handled = 0
      const events = new EventEmitter()
      const server = await startServer(t, (app) => {
        app.get('/', {
          websocketHandler: {
            init: (_args, ws) => {
              ws.subscribe('room')
              if (other === 'an interval') ws.postInterval('tick', 1)
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
            handleInfo: () => {
              otherCalls++
            },
            handlePresence: () => {
              otherCalls++
            }
          }
        })
      })
      const client = await connect(t, server.url('/'))
      const address = String(await client.next())
      const first = once(events, 'first')
      for (let i = 0; i < FRAMES; i++) client.send(String(i))
      await first
      // The answer shows that the server's event loop has turned, so reading has stopped.
      for (let i = 0; i < 20; i++) await server.app.inject('/')
      const act = (): unknown => {
        if (other === 'a publication') return server.app.websock.publish('room', 'news')
        if (other === 'presence') return server.app.websock.track('room', 'ann')
        if (other === 'a ref') return server.app.websock.ref(address).post('info')
        if (other === 'a broadcast') return server.app.websock.broadcast('room', 'hello')
      }
      t.equal(act(), other === 'a ref' ? true : undefined, 'the event is accepted')
      events.emit('go')
      const answers: string[] = []
      while (answers.length < FRAMES) {
        const answer = String(await client.next(20_000))
        if (answer !== 'hello') answers.push(answer)
      }
      t.same(
        answers,
        Array.from({ length: FRAMES }, (_, i) => String(i))
      )
      t.equal(
        otherCalls > 0,
        other !== 'nothing' && other !== 'a broadcast',
        'the handler was called for the event'
      )
    }
  )
}

void t.test('16 384 publications in one tick close no connection, 16 385 do', async (t) => {
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
      t.equal(got.join(), Array.from({ length: count }, (_, i) => String(i)).join())
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
  t.equal(
    errors[0]?.message,
    'The mailbox is full: 3 infos wait, as many as `maxMailboxInfos` allows. Handle infos ' +
    'faster, publish fewer, raise that option, or set `infoOverflow` to "drop"'
  )
  t.equal(server.logs[0]?.err?.message, errors[0]?.message)
})

void t.test(
  'gaps and presence reach a connection that is too slow for its topic',
  async (t) => {
    const network = new MemoryNetwork()
    const events = new EventEmitter()
    const view = new Map<string, PresenceEntry>()
    const gaps: number[] = []
    let dropped = 0
    const server = await startServer(
      t,
      (app) => {
        app.get('/', {
          websocketOptions: { infoOverflow: 'drop', maxMailboxInfos: 10 },
          websocketHandler: {
            init: (_args, ws) => {
              ws.subscribe('room')
              return ws.push('ready')
            },
            handleInfo: async (info, _state, ws) => {
              dropped = ws.droppedInfos
              if (info === 'last') return ws.push('last')
              if (info !== 'hold') return
              events.emit('holds')
              await once(events, 'go')
            },
            handleGap: ({ ms }) => {
              gaps.push(ms)
            },
            handlePresence: ({ joins, leaves }) => {
              for (const { key } of leaves) view.delete(key)
              for (const entry of joins) view.set(entry.key, entry)
            }
          }
        })
      },
      { websock: { engine: network.createEngine() } }
    )
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
      await until(() => !websock.ready(), 'the network is down')
      network.goUp()
      await until(() => websock.ready(), 'the network is up')
    }
    for (let i = 0; i < 3; i++) await turn()
    t.equal(view.size, 0, 'no presence diff is handled while the callback runs')
    events.emit('go')
    await until(() => gaps.length > 0, 'handleGap is called')
    for (let i = 0; i < 20; i++) await turn()
    t.equal(gaps.length, 1, 'handleGap is called once for two gaps')
    const byKey = (one: PresenceEntry, two: PresenceEntry): number => (one.key < two.key ? -1 : 1)
    t.same([...view.values()].sort(byKey), websock.presence('room').sort(byKey))
    t.ok(view.size > 10)
    websock.publish('room', 'last')
    t.equal(await client.next(), 'last')
    t.equal(dropped, 20 * 20 - 10, 'infos were dropped and counted')
  }
)

void t.test(
  'a drain ends a connection whose reading is paused with 1012, like other connections',
  async (t) => {
    const events = new EventEmitter()
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { maxMailboxLength: 4 },
        websocketHandler: {
          handleIn: async () => {
            events.emit('holds')
            await once(events, 'go')
          },
          handleDrain: () => {}
        }
      })
    })
    const client = await connect(t, server.url('/'))
    const held = once(events, 'holds')
    for (let i = 0; i < 100; i++) client.send(String(i))
    await held
    const drained = server.app.websock.drain()
    await turn()
    events.emit('go')
    t.same(await client.closed, { code: 1012, reason: '' })
    t.equal(await drained, 0, 'no connection was destroyed')
  }
)

void t.test('handleDrain is called once for several drains, with the shortest time', async (t) => {
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
  await turn()
  events.emit('go')
  t.equal((await client.closed).code, 1012)
  await Promise.all(ends)
  t.same(drains, [3000])
})

void t.test(
  'thousands of publications that arrive from an engine in one turn close no connection',
  async (t) => {
    const network = new MemoryNetwork()
    const [node, other] = [
      await startNode(t, network.createEngine()),
      await startNode(t, network.createEngine())
    ]
    const clients = [await node.join('room'), await node.join('room')]
    await ready(node, other)
    const count = 4000
    for (let i = 0; i < count; i++) other.app.websock.publish('room', i)
    const expected = Array.from({ length: count }, (_, i) => `info ${i}`)
    for (const client of clients) {
      const got: string[] = []
      while (got.length < count) got.push(String(await client.next()))
      t.equal(got.join(), expected.join())
    }
  }
)

for (const [who, stallMs] of [
  ['the broker', 0],
  ['the broker, and then the node,', 300]
] as const) {
  void t.test(
    `publications that wait while ${who} is blocked close no connection and are not lost`,
    { skip: skipWithout('redis-server') },
    async (t) => {
      const broker = await startRedis(t)
      const open = async (): Promise<ReturnType<typeof redisEngine>> => {
        const client = await createClient({ socket: { port: broker.port } })
          .on('error', () => {})
          .connect()
        t.teardown(() => {
          if (client.isOpen) client.destroy()
        })
        return redisEngine(client as never)
      }
      const [node, other] = [await startNode(t, await open()), await startNode(t, await open())]
      const clients = [await node.join('room'), await node.join('room')]
      await ready(node, other)
      await broker.freeze()
      const count = 3000
      for (let i = 0; i < count; i++) {
        other.app.websock.publish('room', i)
        if (i % 100 === 99) await turn()
      }
      for (const client of clients) t.equal(client.received.length, 1, 'no publication has arrived')
      broker.thaw()
      const end = performance.now() + stallMs
      while (performance.now() < end);
      for (const client of clients) {
        const got: string[] = []
        while (got.length < count) got.push(String(await client.next(15_000)))
        t.same(
          got,
          Array.from({ length: count }, (_, i) => `info ${i}`)
        )
      }
      t.equal(other.app.websock.lostPublications, 0)
    }
  )
}
