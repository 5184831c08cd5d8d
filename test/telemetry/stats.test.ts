import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { duplexPair, type Duplex } from 'node:stream'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { Type } from 'typebox'
import t from 'tap'
import { connect, refused } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { connectRaw, handshake } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

void t.test('counts connections by route and state, messages, bytes and closes', async (t) => {
  const { app, url } = await startServer(t, (app) => {
    app.get('/rooms/:room', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push([data, data]) }
    })
    app.get('/quiet', { websocketHandler: {} })
  })
  t.same(app.websock.stats().routes['/quiet']?.connections, { opening: 0, open: 0, closing: 0 })
  const one = await connect(t, url('/rooms/1?token=secret'))
  const two = await connect(t, url('/rooms/2'))
  one.send('hello')
  t.same([await one.next(), await one.next()], ['hello', 'hello'])
  const { routes, heldReaders, slowPeers, longMailboxes, engine } = app.websock.stats()
  t.same(Object.keys(routes).sort(), ['/quiet', '/rooms/:room'])
  const room = routes['/rooms/:room']
  t.same(room?.connections, { opening: 0, open: 2, closing: 0 })
  t.equal(room?.accepted, 2)
  t.same([room?.messagesReceived, room?.messagesSent], [1, 2])
  t.same([room?.bytesReceived, room?.bytesSent], [6 + 5, 2 * (2 + 5)], 'frames with headers')
  t.match(room?.callbacks, { handleIn: { calls: 1, failures: 0 }, init: { calls: 2 } })
  t.ok((room?.callbacks.handleIn?.ms ?? 0) > 0)
  t.same([heldReaders, slowPeers, longMailboxes], Array(3).fill({ count: 0, first: [] }))
  t.equal(engine, undefined)
  one.close(4001, 'bye')
  two.socket.terminate()
  await until(() => app.websock.stats().routes['/rooms/:room']?.connections.closing === 0 &&
    app.websock.connections.size === 0, 'the connections do not end')
  const ended = app.websock.stats().routes['/rooms/:room']
  t.same(ended?.connections, { opening: 0, open: 0, closing: 0 })
  t.same(ended?.closed, { remote: { 4001: 1, 1006: 1 } })
})

void t.test('counts connections in an async init, and not those whose init fails', async (t) => {
  let go = (): void => {}
  const { app, url } = await startServer(t, (app) => {
    app.get('/slow', {
      websocketHandler: { init: async () => new Promise<void>((resolve) => { go = resolve }) }
    })
    app.get('/broken', { websocketHandler: { init () { throw new Error('no') } } })
  })
  const client = await connect(t, url('/slow'))
  await until(() => app.websock.stats().routes['/slow']?.callbacks.init?.calls === 1, 'no init')
  t.same(app.websock.stats().routes['/slow']?.connections, { opening: 1, open: 0, closing: 0 })
  go()
  await until(() => app.websock.stats().routes['/slow']?.connections.open === 1, 'not open')
  client.close()
  const broken = await connect(t, url('/broken'))
  t.same(await broken.closed, { code: 1011, reason: '' })
  const route = (): unknown => app.websock.stats().routes['/broken']
  await until(() => app.websock.stats().routes['/broken']?.connections.closing === 0, 'not gone')
  t.match(route(), {
    connections: { opening: 0, open: 0, closing: 0 },
    closed: { error: { 1011: 1 } },
    callbacks: { init: { calls: 1, failures: 1 } }
  })
})

void t.test('counts refusals by their code, those of hooks by their status', async (t) => {
  const { app, url } = await startServer(t, (app) => {
    app.get('/hook', {
      onRequest: (_request, reply, _done) => { reply.code(401).send('who?') },
      websocketHandler: {}
    })
    app.get('/open', {
      schema: { querystring: Type.Object({ n: Type.Integer() }) },
      websocketHandler: {}
    })
  })
  await refused(url('/hook'))
  await refused(url('/open?n=x'))
  await refused(url('/open?n=1'), { origin: 'https://elsewhere.example' })
  await refused(url('/nothing'))
  await until(() => app.websock.stats().upgradesPending === 0, 'an upgrade is still pending')
  const { routes, upgradesRefused } = app.websock.stats()
  t.same(routes['/hook']?.refused, { 401: 1 })
  t.same(routes['/open']?.refused, { FST_ERR_VALIDATION: 1, FST_WEBSOCK_ORIGIN_REFUSED: 1 })
  t.same(upgradesRefused, { 404: 1 })
})

void t.test('counts refused messages by their kind', async (t) => {
  const { app, url } = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: Type.Object({ n: Type.Number() }) } },
      websocketHandler: {
        handleIn () {},
        handleInvalid: ({ kind }, _state, ws) => ws.push(kind)
      }
    })
  })
  const client = await connect(t, url('/'))
  for (const data of ['{', '{"n":"x"}', '{"n":"y"}', Buffer.from('{}')]) {
    client.send(data)
    await client.next()
  }
  const { messagesRefused, callbacks } = app.websock.stats().routes['/'] ?? {}
  t.same(messagesRefused, { undecodable: 1, mismatch: 2, opcode: 1 })
  t.equal(callbacks?.handleIn?.calls, 4)
})

void t.test('lists held readers, long mailboxes and slow peers until they end', async (t) => {
  let release = (): void => {}
  const { app, url } = await startServer(t, (app) => {
    app.get('/held', {
      websocketOptions: { maxMailboxLength: 20 },
      websocketHandler: {
        handleIn: async () => new Promise<void>((resolve) => { release = resolve })
      }
    })
    app.get('/slow', {
      websocketOptions: { slowPeer: 'drop', maxBufferedBytes: 100_000 },
      websocketHandler: {
        handleIn: (_message, _state, ws) => ws.push('x'.repeat(10_000_000))
      }
    })
  })
  const held = await connect(t, url('/held'))
  for (let n = 0; n < 40; n++) held.send(`${n}`)
  await until(() => app.websock.stats().heldReaders.count === 1, 'not held')
  const { heldReaders, longMailboxes } = app.websock.stats()
  t.match(heldReaders.first, [{ id: /\./, route: '/held', ms: Number, letters: Number }])
  t.equal(longMailboxes.count, 1)
  t.ok((longMailboxes.first[0]?.letters ?? 0) >= 20)
  t.equal(app.websock.stats().routes['/held']?.readingPaused, 1)
  for (let n = 0; n < 40; n++) {
    release()
    await wait(0)
  }
  await until(() => app.websock.stats().longMailboxes.count === 0, 'still long')
  t.equal(app.websock.stats().heldReaders.count, 0)

  const slow = await connect(t, url('/slow'))
  slow.socket.pause()
  for (let n = 0; n < 3; n++) slow.send('more')
  await until(() => app.websock.stats().slowPeers.count === 1, 'not slow')
  await until(() => (app.websock.stats().routes['/slow']?.messagesDropped ?? 0) > 0, 'no drop')
  const { first } = app.websock.stats().slowPeers
  t.match(first, [{ route: '/slow' }])
  t.ok((first[0]?.bufferedBytes ?? 0) > 100_000)
  slow.socket.resume()
  await until(() => app.websock.stats().slowPeers.count === 0, 'still slow')
  t.equal(app.websock.stats().routes['/slow']?.slowPeers, 1)

  const gone = await connect(t, url('/slow'))
  gone.socket.pause()
  for (let n = 0; n < 3; n++) gone.send('more')
  await until(() => app.websock.stats().slowPeers.count === 1, 'not slow')
  gone.socket.terminate()
  await until(() => app.websock.stats().slowPeers.count === 0, 'it is still listed')
})

void t.test('takes less than 1 ms with 10 000 connections', { timeout: 120_000 }, async (t) => {
  const CONNECTIONS = 10_000
  const { app } = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init (_args, ws) {
          ws.subscribe('all')
          // 1 000 held readers, many more than are listed.
          if (app.websock.stats().heldReaders.count < 1000) ws.pause()
        }
      }
    })
  })
  const streams: Duplex[] = []
  t.teardown(() => { for (const stream of streams) stream.destroy() })
  // In-process streams, because a process may not be allowed so many sockets.
  for (let n = 0; n < CONNECTIONS; n++) {
    const [client, socket] = duplexPair()
    app.server.emit('connection', socket)
    client.on('error', () => {}).resume()
    client.write(handshake('/'))
    streams.push(socket)
    if (n % 100 === 0) await nextTurn()
  }
  const open = (): number => app.websock.stats().routes['/']?.connections.open ?? 0
  await until(() => open() === CONNECTIONS, 'not all are open')
  const times: number[] = []
  for (let n = 0; n < 201; n++) {
    const from = performance.now()
    app.websock.stats()
    times.push(performance.now() - from)
  }
  const { heldReaders, subscriptions } = app.websock.stats()
  t.same([heldReaders.count, heldReaders.first.length, subscriptions], [1000, 10, CONNECTIONS])
  const median = times.sort((one, other) => one - other)[100] ?? Infinity
  t.ok(median < 1, `${median} ms`)
})

void t.test('counts timeouts by kind, and dropped infos', async (t) => {
  const { app, port, url } = await startServer(t, (app) => {
    app.get('/idle', { websocketOptions: { idleTimeoutMs: 20 }, websocketHandler: {} })
    app.get('/dead', {
      websocketOptions: { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 20 },
      websocketHandler: {}
    })
    app.get('/init', {
      websocketOptions: { initTimeoutMs: 20, terminateTimeoutMs: 20 },
      websocketHandler: { init: async () => new Promise<void>(() => {}) }
    })
    app.get('/close', {
      websocketOptions: { closeTimeoutMs: 20 },
      websocketHandler: { init: (_args, ws) => ws.stop() }
    })
    app.get('/infos', {
      websocketOptions: { maxMailboxInfos: 2, infoOverflow: 'drop' },
      websocketHandler: {
        init (_args, ws) { for (let n = 0; n < 5; n++) ws.post(n) },
        handleInfo: (info, _state, ws) => ws.push(String(info))
      }
    })
  })
  const timeouts = (route: string): unknown => app.websock.stats().routes[route]?.timeouts
  const none = { dead: 0, idle: 0, callback: 0, close: 0 }
  await Promise.all(['/idle', '/init'].map(async (path) => (await connect(t, url(path))).closed))
  t.same(timeouts('/idle'), { ...none, idle: 1 })
  await until(() => app.websock.stats().routes['/init']?.connections.closing === 0, 'not gone')
  t.same(
    timeouts('/init'),
    { ...none, callback: 2 },
    'initTimeoutMs, then terminateTimeoutMs for the running init'
  )
  // Neither answers a ping nor a close frame.
  for (const path of ['/dead', '/close']) {
    const client = await connectRaw(t, port)
    client.write(handshake(path))
  }
  const gone = (path: string): boolean => {
    const { closed } = app.websock.stats().routes[path] ?? {}
    return Object.keys(closed ?? {}).length === 1
  }
  await until(() => gone('/dead') && gone('/close'), 'not gone')
  t.same(timeouts('/dead'), { ...none, dead: 1 })
  t.same(timeouts('/close'), { ...none, close: 1 })
  const infos = await connect(t, url('/infos'))
  t.same([await infos.next(), await infos.next()], ['0', '1'])
  t.equal(app.websock.stats().routes['/infos']?.infosDropped, 3)
})

void t.test('broadcasts are counted for each connection that they are sent to', async (t) => {
  const { app, url } = await startServer(t, (app) => {
    app.get('/', { websocketHandler: { init: (_args, ws) => { ws.subscribe('all') } } })
  })
  const clients = await Promise.all([1, 2, 3].map(() => connect(t, url('/'))))
  app.websock.broadcast('all', 'one')
  app.websock.broadcast('all', 'two')
  for (const client of clients) t.same([await client.next(), await client.next()], ['one', 'two'])
  const { messagesSent, bytesSent } = app.websock.stats().routes['/'] ?? {}
  t.same([messagesSent, bytesSent], [6, 6 * 5])
  t.match(app.websock.stats(), { topics: 1, subscriptions: 3, presence: { here: 0, nodes: 1 } })
})

void t.test('docs/observing.md has each field', async (t) => {
  const { app } = await startServer(t, (app) => { app.get('/', { websocketHandler: {} }) })
  const docs = readFileSync(join(__dirname, '../../docs/observing.md'), 'utf8')
  const table = /^## Counts[^]*?^## Metrics/m.exec(docs)?.[0] ?? ''
  const stats = app.websock.stats()
  const fields = [...Object.keys(stats), ...Object.keys(stats.routes['/'] ?? {})]
  t.ok(fields.length > 20)
  t.same(fields.filter((name) => !new RegExp(`\`[^\`]*\\b${name}\\b[^\`]*\``).test(table)), [])
})
