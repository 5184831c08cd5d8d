import t from 'tap'
import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import fastifyRequestContext, { requestContext } from '@fastify/request-context'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { connect } from '../helpers/client.ts'
import { until } from '../helpers/cluster.ts'
import { startServer } from '../helpers/server.ts'

void t.test(
  'each callback runs in the context of its own upgrade, for letters from any sender',
  async (t) => {
    const storage = new AsyncLocalStorage<string>()
    const seen: string[] = []
    const network = new MemoryNetwork()
    const events = new EventEmitter()
    const server = await startServer(
      t,
      (app) => {
        app.addHook('onRequest', (request, _reply, next) =>
          storage.run(String((request.query as { user?: string }).user), next)
        )
        app.get('/', {
          websocketHandler: {
            init ({ query }, ws) {
              const { user } = query as { user: string }
              const note = (where: string): void => {
                seen.push(`${user}: ${where} in ${String(storage.getStore())}`)
              }
              note('init')
              ws.signal.addEventListener('abort', () => note('abort'))
              ws.subscribe('room')
              storage.run('a timer', () => ws.postAfter('after', 1))
              storage.run('a task', () =>
                ws.run(async (signal) => {
                  note('run')
                  await turn()
                  note('run, later')
                  await once(signal, 'abort')
                  note('run, aborted')
                })
              )
              return ws.push(ws.ref.address, { note })
            },
            handleIn ({ data }, { note }, ws) {
              note(`handleIn ${String(data)}`)
              if (data === 'enter') storage.enterWith('what another callback entered')
              return data === 'stop' ? ws.stop() : ws.push(data)
            },
            async handleInfo (info, { note }, ws) {
              note(`handleInfo ${String(info)}`)
              await (info === 'publication' ? once(events, 'go') : turn())
              note(`handleInfo ${String(info)}, later`)
              return ws.push(`info ${String(info)}`)
            },
            handleControl: (_frame, { note }) => {
              note('handleControl')
            },
            handlePresence: (_diff, { note }, ws) => {
              note('handlePresence')
              return ws.push('presence')
            },
            handleGap: (_gap, { note }, ws) => {
              note('handleGap')
              return ws.push('gap')
            },
            handleDrain: (_drain, { note }) => {
              note('handleDrain')
            },
            terminate: (_reason, { note }) => {
              note('terminate')
            }
          }
        })
      },
      { websock: { engine: network.createEngine() } }
    )
    const { websock } = server.app
    const users = ['ann', 'bob', 'carl']
    const clients = await Promise.all(users.map((user) => connect(t, server.url(`/?user=${user}`))))
    const refs = await Promise.all(
      clients.map(async (client) => websock.ref(String(await client.next())))
    )
    const eachReceives = async (expected: string): Promise<void> => {
      for (const client of clients) t.equal(await client.next(), expected)
    }
    await eachReceives('info after')
    // The infos are handled in one turn of the event loop, each in its own context. The first post
    // schedules that turn.
    for (const [i, ref] of refs.entries()) storage.run(`sender ${i}`, () => ref.post('post'))
    await eachReceives('info post')
    storage.run('publisher', () => websock.publish('room', 'publication'))
    // These frames wait behind an async callback. Pongs do not wait, so a pong shows that the
    // frames have arrived.
    for (const client of clients) {
      client.send('behind')
      client.socket.ping()
      await once(client.socket, 'pong')
    }
    storage.run('somebody', () => events.emit('go'))
    for (const expected of ['info publication', 'behind']) await eachReceives(expected)
    for (const client of clients) client.send('enter')
    await eachReceives('enter')
    for (const client of clients) client.send('after')
    await eachReceives('after')
    storage.run('tracker', () => websock.track('room', 'dora'))
    await eachReceives('presence')
    storage.run('network', () => network.goDown())
    await until(() => !websock.ready(), 'the network is down')
    storage.run('network', () => network.goUp())
    await eachReceives('gap')
    for (const client of clients) client.socket.ping()
    clients[0]?.send('stop')
    await clients[0]?.closed
    clients[1]?.close()
    await clients[1]?.closed
    await storage.run('drainer', () => websock.drain())
    t.same(
      seen.filter((line) => {
        const [, user, store] = /^(\w+): .* in (.*)$/.exec(line) ?? []
        return user !== store
      }),
      []
    )
    const places = new Set(seen.map((line) => line.split(' ')[1]))
    t.same([...places].sort(), [
      'abort',
      'handleControl',
      'handleDrain',
      'handleGap',
      'handleIn',
      'handleInfo',
      'handlePresence',
      'init',
      'run',
      'run,',
      'terminate'
    ])
    for (const last of ['terminate', 'run, aborted', 'abort in']) {
      t.equal(seen.filter((line) => line.includes(` ${last}`)).length, 3, last)
    }
  }
)

void t.test(
  'an info that a request posts is handled in the context of its connection, also with two users',
  async (t) => {
    const server = await startServer(t, async (app) => {
      await app.register(fastifyRequestContext, { defaultStoreValues: { user: 'none' } as never })
      app.addHook('onRequest', async (request) => {
        requestContext.set('user' as never, (request.query as { user: string }).user as never)
      })
      const userOfContext = (): string => String(requestContext.get('user' as never))
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => ws.push(ws.ref.address),
          handleInfo: async (info, _state, ws) => {
            const before = userOfContext()
            await turn()
            return ws.push(`${String(info)} ${before} ${userOfContext()}`)
          }
        }
      })
      app.post('/post', async (request) => {
        const { address } = request.query as { address: string }
        return { taken: app.websock.ref(address).post(`by ${userOfContext()}:`) }
      })
    })
    const users = ['ann', 'bob']
    const clients = await Promise.all(users.map((user) => connect(t, server.url(`/?user=${user}`))))
    const addresses = await Promise.all(clients.map(async (client) => String(await client.next())))
    for (let round = 0; round < 50; round++) {
      await Promise.all(
        users.map((user, i) =>
          fetch(server.http(`/post?user=${user}&address=${addresses[i] ?? ''}`), { method: 'POST' })
        )
      )
      for (const [i, client] of clients.entries()) {
        t.equal(await client.next(), `by ${users[i] ?? ''}: ${users[i] ?? ''} ${users[i] ?? ''}`)
      }
    }
  }
)

void t.test('a topic listener keeps the context in which it subscribed', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const server = await startServer(t, () => {})
  const { websock } = server.app
  storage.run('listener', () => websock.subscribe('room', {
    handleInfo: (info) => { seen.push([info, storage.getStore()]); storage.enterWith('entered') },
    handlePresence: ({ joins }) => { seen.push([joins[0]?.key, storage.getStore()]) }
  }))
  storage.run('publisher', () => {
    for (const info of [1, 2]) websock.publish('room', info)
    websock.track('room', 'ann')
    t.equal(storage.getStore(), 'publisher', 'the publisher keeps its own context')
  })
  await until(() => seen.length >= 3, 'three calls')
  t.same(seen, [[1, 'listener'], [2, 'listener'], ['ann', 'listener']])
})
