import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import t from 'tap'
import { WebSocketServer } from 'ws'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { ask, refused } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { connectRaw, exchange, handshake } from '../helpers/raw.ts'
import { buildApp, listen, type App, type Teardown } from '../helpers/server.ts'

const HOUR = 3_600_000
const ORDERS = ['before this plugin', 'after this plugin'] as const
const ours: WebsocketHandler = {
  handleIn: ({ data }, _state, ws) => ws.push(`ours ${String(data)}`)
}

const others = {
  'a ws server with a path' (app: App, t: Teardown) {
    const server = new WebSocketServer({ server: app.server, path: '/other' })
    server.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => socket.send(`other ${data.toString()}`))
    )
    t.teardown(() => server.close())
  },
  'an upgrade listener' (app: App, t: Teardown) {
    const server = new WebSocketServer({ noServer: true })
    t.teardown(() => server.close())
    app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (request.url !== '/other') return
      server.handleUpgrade(request, socket, head, (websocket) =>
        websocket.on('message', (data: Buffer) => websocket.send(`other ${data.toString()}`))
      )
    })
  },
  async '@fastify/http-proxy' (app: App, t: Teardown) {
    const upstream = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    t.teardown(() => upstream.close())
    upstream.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => socket.send(`other ${data.toString()}`))
    )
    await once(upstream, 'listening')
    await app.register(httpProxy, {
      upstream: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      prefix: '/other',
      websocket: true
    })
  }
} satisfies Record<string, (app: App, t: Teardown) => unknown>

for (const [name, add] of Object.entries(others)) {
  for (const order of ORDERS) {
    void t.test(`upgrades of ${name}, added ${order}, and of this plugin`, async (t) => {
      const { app } = buildApp(t)
      let hooks = 0
      if (order === 'before this plugin') await add(app, t)
      await app.register(websock)
      if (order === 'after this plugin') await add(app, t)
      app.get('/ws', { onRequest: async () => { hooks++ }, websocketHandler: ours })
      app.get('/theirs', { websocket: true }, (socket) => {
        socket.on('message', (data: Buffer) => socket.send(`theirs ${data.toString()}`))
      })
      const server = await listen(app)
      t.equal(await ask(t, server.url('/ws'), 'hi'), 'ours hi')
      t.equal(await ask(t, server.url('/theirs'), 'hi'), 'theirs hi')
      t.equal(await ask(t, server.url('/other'), 'hi'), 'other hi')
      t.equal(hooks, 1)
      t.equal((await refused(server.url('/ws'), { origin: 'https://evil.example' })).status, 403)
      if (name === '@fastify/http-proxy') {
        t.equal(
          (await refused(server.url('/nowhere'))).status,
          404,
          'an upgrade of an unknown path gets 404'
        )
      }
    })
  }
}

void t.test('socket.io and this plugin each get their own upgrades', async (t) => {
  for (const order of ORDERS) {
    const { app } = buildApp(t)
    if (order === 'after this plugin') await app.register(websock)
    const sockets = new SocketIoServer(app.server)
    if (order === 'before this plugin') await app.register(websock)
    app.get('/ws', { websocketHandler: ours })
    sockets.on('connection', (socket) =>
      socket.on('ask', (data: string, answer: (text: string) => void) => answer(`io ${data}`))
    )
    const server = await listen(app)
    const client = io(server.http(''), { transports: ['websocket'], reconnection: false })
    t.teardown(() => client.close())
    t.equal(await client.timeout(20_000).emitWithAck('ask', 'hi'), 'io hi', order)
    t.equal(await ask(t, server.url('/ws'), 'hi'), 'ours hi', order)
    client.close()
    sockets.disconnectSockets(true)
    await app.close()
  }
})

/** An app with another 'upgrade' listener, which answers 499. */
async function startBesideListener (
  t: Teardown,
  build: (app: App) => unknown,
  fastify: object = {},
  order: (typeof ORDERS)[number] = 'after this plugin'
) {
  const { app } = buildApp(t, { fastify })
  const listener = (_request: IncomingMessage, socket: Duplex): void => {
    socket.end('HTTP/1.1 499 Other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  }
  const hooks: string[] = []
  app.addHook('onRequest', async ({ url }) => { hooks.push(url) })
  if (order === 'before this plugin') app.server.on('upgrade', listener)
  await app.register(websock, { closeTimeoutMs: HOUR })
  if (order === 'after this plugin') app.server.on('upgrade', listener)
  await build(app)
  return { hooks, ...await listen(app) }
}

void t.test('an upgrade belongs to the route that Fastify finds for it', async (t) => {
  const route = { websocketHandler: ours }
  const server = await startBesideListener(t, async (app) => {
    app.get('/rooms/:room', route)
    app.get('/rooms/plain', () => 'plain')
    app.get('/all/*', route)
    app.get('/host', { constraints: { host: 'a.example' }, ...route })
    app.get('/version', { constraints: { version: '1.2.0' }, ...route })
    app.get('/page', () => 'page')
    app.post('/post', () => 'post')
    await app.register(async (child) => {
      await child.register(async (inner) => { inner.get('/', route) }, { prefix: '/inner' })
    }, { prefix: '/outer' })
  })
  const rows: Array<[path: string, owner: 'plugin' | 'other', headers?: Record<string, string>]> = [
    ['/rooms/1', 'plugin'],
    ['/rooms/1?a=b', 'plugin'],
    ['/rooms/', 'plugin'],
    ['/rooms/plain', 'other'],
    ['/rooms/1/2', 'other'],
    ['/all/of/it', 'plugin'],
    ['/outer/inner', 'plugin'],
    ['/outer/inner/', 'plugin'],
    ['/outer', 'other'],
    ['/page', 'other'],
    ['/post', 'other'],
    ['/host', 'plugin', { host: 'a.example' }],
    ['/host', 'other', { host: 'b.example' }],
    ['/host', 'other'],
    ['/version', 'plugin', { 'accept-version': '1.x' }],
    ['/version', 'other', { 'accept-version': '2.x' }],
    ['/Rooms/1', 'other'],
    ['/rooms/%zz', 'other'],
    ['/', 'other'],
    ['/socket.io/?EIO=4', 'other']
  ]
  for (const [path, owner, headers = {}] of rows) {
    const { status } = await refused(server.url(path), { headers, origin: 'https://evil.example' })
    t.equal(status, owner === 'plugin' ? 403 : 499, `${path} ${JSON.stringify(headers)}`)
  }
  t.equal(
    server.hooks.length,
    rows.filter(([, owner]) => owner === 'plugin').length,
    'no hook runs for an upgrade of another listener'
  )
})

void t.test('the lookup uses the router options and rewriteUrl', async (t) => {
  const routes = (app: App): void => { app.get('/rooms/:room', { websocketHandler: ours }) }
  const statusOf = async (fastify: object, path: string): Promise<number> => {
    const server = await startBesideListener(t, routes, fastify)
    return (await refused(server.url(path), { origin: 'https://evil.example' })).status
  }
  t.equal(await statusOf({ routerOptions: { ignoreTrailingSlash: true } }, '/rooms/1/'), 403)
  t.equal(await statusOf({}, '/rooms/1/'), 499)
  t.equal(await statusOf({ routerOptions: { caseSensitive: false } }, '/ROOMS/1'), 403)
  t.equal(await statusOf({ routerOptions: { ignoreDuplicateSlashes: true } }, '//rooms//1'), 403)
  t.equal(await statusOf({ routerOptions: { maxParamLength: 3 } }, '/rooms/1234'), 499)
  const rewriteUrl = ({ url = '/', method }: IncomingMessage): string =>
    method === 'GET' ? url.replace(/^\/v1/, '') : url
  t.equal(await statusOf({ rewriteUrl }, '/v1/rooms/1'), 403)
  t.equal(await statusOf({ rewriteUrl }, '/rooms/1'), 403)
  t.equal(await statusOf({ rewriteUrl }, '/v1/other'), 499)
  const kind = {
    name: 'kind',
    storage: () => {
      const kinds = new Map<string, unknown>()
      return {
        get: (value: string) => kinds.get(value) ?? null,
        set: (value: string, store: unknown) => {
          kinds.set(value, store)
        }
      }
    },
    deriveConstraint: ({ headers }: IncomingMessage) => headers['x-kind'],
    validate: () => {}
  }
  const constrained = await startBesideListener(
    t,
    (app) => {
      app.get('/kind', { constraints: { kind: 'a' }, websocketHandler: ours })
    },
    { routerOptions: { constraints: { kind } } }
  )
  t.equal(
    (
      await refused(constrained.url('/kind'), {
        headers: { 'x-kind': 'a' },
        origin: 'https://evil.example'
      })
    ).status,
    403
  )
  t.equal((await refused(constrained.url('/kind'), { headers: { 'x-kind': 'b' } })).status, 499)
})

void t.test(
  'a route declared before the plugin takes precedence over a wildcard websocket route',
  async (t) => {
    const { app } = buildApp(t)
    app.get('/other', () => 'page')
    await app.register(websock)
    app.get('/*', { websocketHandler: ours })
    app.server.on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      socket.end('HTTP/1.1 499 Other\r\nContent-Length: 0\r\n\r\n')
    })
    const server = await listen(app)
    t.equal((await refused(server.url('/other'))).status, 499)
    t.equal(await ask(t, server.url('/else'), 'hi'), 'ours hi')
  }
)

void t.test(
  'upgrades to other protocols go to the other listeners, and without listeners to HTTP',
  async (t) => {
    for (const order of ORDERS) {
      const server = await startBesideListener(
        t,
        (app) => {
          app.get('/ws', { websocketHandler: ours })
        },
        {},
        order
      )
      t.equal(
        (
          await exchange(
            t,
            server.port,
            handshake('/ws').replace('Upgrade: websocket', 'Upgrade: tcp')
          )
        ).status,
        499,
        order
      )
    }
    const { app } = buildApp(t)
    await app.register(websock)
    app.post('/', ({ body }) => ({ got: body }))
    const server = await listen(app)
    const raw = (await connectRaw(t, server.port)).write(
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Type: ' +
      'application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
    await raw.until(({ text }) => text.endsWith('{"got":{"a":1}}'))
    t.equal(raw.status, 200)
  }
)

void t.test(
  'an upgrade that no listener answers is destroyed, after its time or when the server closes',
  async (t) => {
    for (const how of ['time', 'close'] as const) {
      const { app } = buildApp(t)
      await app.register(websock, {
        upgradeTimeoutMs: how === 'time' ? 30 : HOUR,
        closeTimeoutMs: 30
      })
      const seen = new Promise<void>((resolve) => {
        app.server.on('upgrade', () => {
          resolve()
        })
      })
      const server = await listen(app)
      const raw = (await connectRaw(t, server.port)).write(handshake('/nowhere'))
      await seen
      if (how === 'close') await app.close()
      await raw.ended
      t.equal(raw.text, '', how)
    }
  }
)

void t.test('an upgrade that a listener answers stays open; a reset does no harm', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock, { upgradeTimeoutMs: 300 })
  const sockets = new Map<string, Duplex>()
  const closed: string[] = []
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    const url = String(request.url)
    sockets.set(url, socket)
    socket.on('close', () => closed.push(url))
    if (url === '/kept') {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'
      )
    }
  })
  app.get('/ws', { websocketHandler: ours })
  const server = await listen(app)
  const kept = (await connectRaw(t, server.port)).write(handshake('/kept'))
  await kept.until(({ text }) => text.endsWith('\r\n\r\n'))
  const ignored = (await connectRaw(t, server.port)).write(handshake('/ignored'))
  await ignored.ended
  sockets.get('/kept')?.write('still here')
  await kept.until(({ text }) => text.endsWith('still here'))
  const reset = (await connectRaw(t, server.port)).write(handshake('/reset'))
  await until(() => sockets.has('/reset'), 'the listener is not called')
  reset.socket.resetAndDestroy()
  await until(() => closed.includes('/reset'), 'the socket is not closed')
  t.same(closed, ['/ignored', '/reset'])
  t.equal(await ask(t, server.url('/ws'), 'hi'), 'ours hi')
  // The listener owns the socket, so the test must end it.
  sockets.get('/kept')?.destroy()
})
