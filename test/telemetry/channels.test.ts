import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from 'typebox'
import t, { type Test } from 'tap'
import { callbackChannel, channels, type CallbackMessage } from '../../src/telemetry/channels.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { startServer } from '../helpers/server.ts'

type Message = Record<string, unknown>

/** Collects the messages of channels until the test ends, each with its channel. */
function listen (t: Test, ...names: string[]): Array<[name: string, message: Message]> {
  const received: Array<[string, Message]> = []
  for (const name of names.map((name) => `fastify-websock:${name}`)) {
    const listener = (message: unknown): void => {
      received.push([name.slice('fastify-websock:'.length), message as Message])
    }
    subscribe(name, listener)
    t.teardown(() => unsubscribe(name, listener))
  }
  return received
}

void t.test('a connection is accepted, opens and closes with its counts', async (t) => {
  const received = listen(t, 'upgrade:accepted', 'connection:open', 'connection:close')
  const { app, url } = await startServer(t, (app) => {
    app.get('/rooms/:room', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) }
    })
  })
  const client = await connect(t, url('/rooms/5?x=1'))
  client.send('hi')
  await client.next()
  client.close(4000, 'bye')
  await until(() => received.length === 3, 'not all messages arrive')
  t.same(
    received.map(([name]) => name),
    ['upgrade:accepted', 'connection:open', 'connection:close']
  )
  const [accepted, opened, closed] = received.map(([, message]) => message)
  const about = { id: opened?.['id'], route: '/rooms/:room', server: app }
  t.match(accepted, { id: about.id, route: about.route })
  t.equal((accepted?.['request'] as { url: string }).url, '/rooms/5?x=1')
  t.same(Object.keys(opened ?? {}).sort(), ['id', 'route', 'server'])
  t.equal(opened?.['server'], app)
  const { server, durationMs, ...rest } = closed ?? {}
  t.equal(server, app)
  t.type(durationMs, 'number')
  t.same(rest, {
    id: about.id,
    route: about.route,
    type: 'remote',
    code: 4000,
    reason: 'bye',
    error: undefined,
    messagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 6 + 2 + 6 + 5,
    bytesSent: 2 + 2 + 2 + 5
  })
})

void t.test('a refused upgrade says why', async (t) => {
  const received = listen(t, 'upgrade:refused')
  const { url } = await startServer(t, (app) => {
    app.get('/a', { websocketHandler: {} })
    app.get('/b', {
      websocketOptions: { upgradeTimeoutMs: 20 },
      onRequest: (_request, _reply, _done) => {},
      websocketHandler: {}
    })
  })
  await refused(url('/a'), { origin: 'https://elsewhere.example' })
  await refused(url('/b'))
  await refused(url('/none'))
  t.same(received.map(([, { route, statusCode, code }]) => [route, statusCode, code]), [
    ['/a', 403, 'FST_WEBSOCK_ORIGIN_REFUSED'],
    ['/b', 503, 'FST_WEBSOCK_UPGRADE_TIMEOUT'],
    ['', 404, '']
  ])
  t.equal((received[0]?.[1]['request'] as { url: string }).url, '/a')
})

void t.test('refused messages and failed callbacks are published', async (t) => {
  const received = listen(t, 'message:refused', 'callback:failed')
  const { url } = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: Type.Object({ n: Type.Number() }) } },
      websocketHandler: {
        handleIn () { throw new Error('no') },
        handleInvalid () {},
        async terminate () { throw new Error('terminate fails') }
      }
    })
  })
  const client = await connect(t, url('/'))
  client.send('[')
  client.send('{"n":"x"}')
  client.send('{"n":1}')
  await client.closed
  await until(() => received.length === 4, 'not all messages arrive')
  t.same(received.map(([name, { kind, callback, error }]) =>
    [name, kind ?? callback, (error as Error | undefined)?.message]), [
    ['message:refused', 'undecodable', undefined],
    ['message:refused', 'mismatch', undefined],
    ['callback:failed', 'handleIn', 'no'],
    ['callback:failed', 'terminate', 'terminate fails']
  ])
})

void t.test('paused and resumed reading, and a slow peer, are published', async (t) => {
  const received = listen(t, 'reading:paused', 'reading:resumed', 'peer:slow')
  const { url } = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { slowPeer: 'drop', maxBufferedBytes: 1000 },
      websocketHandler: {
        handleIn ({ data }, _state, ws) {
          if (data === 'pause') {
            ws.pause()
            setImmediate(() => ws.resume())
          } else if (data === 'hold') ws.pause()
          else return ws.push('x'.repeat(10_000_000))
        }
      }
    })
  })
  const client = await connect(t, url('/'))
  client.send('pause')
  await until(() => received.length === 2, 'not resumed')
  client.socket.pause()
  for (let n = 0; n < 3; n++) client.send('much')
  await until(() => received.length === 3, 'not slow')
  client.socket.resume()
  client.send('hold')
  await until(() => received.length === 4, 'not held')
  client.socket.terminate()
  t.same(received.map(([name, { by, slowPeer, route }]) => [name, by ?? slowPeer, route]), [
    ['reading:paused', 'handler', '/'],
    ['reading:resumed', 'handler', '/'],
    ['peer:slow', 'drop', '/'],
    ['reading:paused', 'handler', '/']
  ])
  t.ok(received[2]?.[1]['bufferedBytes'] as number > 1000)
})

void t.test('an engine that connects, disconnects and has a gap is published', async (t) => {
  const received = listen(t, 'engine:up', 'engine:down', 'engine:gap')
  const network = new MemoryNetwork()
  const { app } = await startServer(t, () => {}, { websock: { engine: network.createEngine() } })
  app.websock.subscribe('topic', {})
  await until(() => app.websock.ready(), 'not ready')
  network.goDown()
  network.goUp()
  await until(() => received.length === 4, 'not all messages arrive')
  t.same(received.map(([name, { engine }]) => [name, engine]), [
    ['engine:up', 'memory'],
    ['engine:down', 'memory'],
    ['engine:up', 'memory'],
    ['engine:gap', 'memory']
  ])
  const { node, topics, ms } = received[3]?.[1] ?? {}
  t.type(node, 'string')
  t.equal(node, received[0]?.[1]['node'])
  t.same([topics, typeof ms], [3, 'number'], 'the topic, the node and presence')
  const { engine } = app.websock.stats()
  t.match(engine, { name: 'memory', connected: true, ready: true, outages: 1, gaps: 1 })
})

void t.test('callbacks are traced as by traceSync and tracePromise', async (t) => {
  const events: string[] = []
  const note = (event: string) => (message: object): void => {
    const { callback, route, result, error } = message as {
      callback: string, route: string, result?: { messages?: string }, error?: Error
    }
    events.push(`${event} ${callback} ${route} ${result?.messages ?? error?.message ?? ''}`.trim())
  }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error')
  }
  callbackChannel.subscribe(subscribers)
  t.teardown(() => callbackChannel.unsubscribe(subscribers))
  const { url } = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        guard ({ data }, _state, ws) { if (data === 'guarded') return ws.push('no') },
        handleIn ({ data }, _state, ws) {
          if (data === 'throw') throw new Error('thrown')
          return data === 'async' ? Promise.resolve(ws.push('later')) : ws.push('now')
        },
        terminate () {}
      }
    })
  })
  const client = await connect(t, url('/'))
  events.length = 0
  for (const [data, answer] of [['sync', 'now'], ['async', 'later'], ['guarded', 'no']]) {
    client.send(data)
    t.equal(await client.next(), answer)
  }
  client.send('throw')
  await client.closed
  await until(() => events.some((event) => event === 'end terminate /'), 'no terminate')
  t.same(events, [
    'start guard /',
    'end guard /',
    'start handleIn /',
    'end handleIn / now',
    'start guard /',
    'end guard /',
    'start handleIn /',
    'end handleIn /',
    'asyncStart handleIn / later',
    'asyncEnd handleIn / later',
    'start guard /',
    'end guard / no',
    'start guard /',
    'end guard /',
    'start handleIn /',
    'error handleIn / thrown',
    'end handleIn / thrown',
    'start terminate /',
    'end terminate /'
  ])
})

void t.test('a store bound to the channel is set in callbacks, also after an await', async (t) => {
  const store = new AsyncLocalStorage<string>()
  const { start } = tracingChannel<string, CallbackMessage>('fastify-websock:callback')
  start.bindStore(store, ({ callback }) => `in ${callback}`)
  t.teardown(() => start.unbindStore(store))
  const { url } = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        async handleIn (_message, _state, ws) {
          const before = store.getStore()
          await new Promise((resolve) => setImmediate(resolve))
          ws.post('info')
          return ws.push([before ?? 'none', store.getStore() ?? 'none'])
        },
        handleInfo: (_info, _state, ws) => ws.push(store.getStore() ?? 'none')
      }
    })
  })
  const client = await connect(t, url('/'))
  client.send('x')
  t.same(
    [await client.next(), await client.next(), await client.next()],
    ['in handleIn', 'in handleIn', 'in handleInfo']
  )
})

void t.test('a subscriber that throws is an uncaught exception, and connections continue',
  async (t) => {
    const caught: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => caught.push(error.message))
    t.teardown(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    })
    const fail = (): never => { throw new Error('a subscriber') }
    const all = [...Object.values(channels), callbackChannel.start, callbackChannel.end]
    for (const channel of all) channel.subscribe(fail)
    t.teardown(() => { for (const channel of all) channel.unsubscribe(fail) })
    const { app, url } = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) }
      })
    })
    const client = await connect(t, url('/'))
    client.send('still here')
    t.equal(await client.next(), 'still here')
    client.close(4000)
    t.same(await client.closed, { code: 4000, reason: '' })
    await until(() => app.websock.stats().routes['/']?.connections.closing === 0, 'no end')
    await until(() => caught.length >= 5, 'the exceptions do not come')
    t.same([...new Set(caught)], ['a subscriber'])
  })

void t.test('docs/observing.md has each channel, and no other', (t) => {
  const text = readFileSync(join(__dirname, '../../docs/observing.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(fastify-websock:[\w:]+)` \|/gm)].map(([, name]) => name)
  t.same(rows.sort(), Object.values(channels).map(({ name }) => name).sort())
  t.match(text, /tracingChannel\('fastify-websock:callback'\)/)
  t.end()
})
