import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { Agent, get } from 'node:https'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { join } from 'node:path'
import t from 'tap'
import websock from '../../src/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { connectRaw, exchange, handshake, parseAnswers, text } from '../helpers/raw.ts'
import { buildApp, listen, startServer } from '../helpers/server.ts'

const HOUR = 3_600_000

void t.test(
  'registered in a child, the plugin leaves routes outside unchanged, and leaks no socket',
  async (t) => {
    const { app } = buildApp(t)
    app.get('/outside', () => ({ page: true }))
    app.get('/big', (_request, reply) => reply.send(Buffer.alloc(3 * 1024 * 1024, 'x')))
    app.get(
      '/refusing',
      { onRequest: async (_request, reply) => reply.code(401).send('no') },
      () => 'never'
    )
    await app.register(async (child) => {
      await child.register(websock, { closeTimeoutMs: HOUR, upgradeTimeoutMs: HOUR })
      child.get('/inside', { websocketHandler: { init: (_args, ws) => ws.push('open') } })
    })
    const server = await listen(app)
    const outside = await Promise.all(
      Array.from({ length: 50 }, () => refused(server.url('/outside')))
    )
    t.ok(
      outside.every(
        ({ status, body, headers }) =>
          status === 200 && body === '{"page":true}' && headers.connection === 'close'
      )
    )
    t.equal((await refused(server.url('/big'))).body.length, 3 * 1024 * 1024)
    t.match(await refused(server.url('/refusing')), { status: 401, body: 'no' })
    t.equal((await refused(server.url('/nowhere'))).status, 404)
    t.equal(await (await connect(t, server.url('/inside'))).next(), 'open')
    t.equal((await refused(server.url('/inside'), { origin: 'https://evil.example' })).status, 403)
    const silent = await connectRaw(t, server.port)
    silent.write(handshake('/outside').replace('Upgrade: websocket', 'Upgrade: h2c'))
    await silent.until(({ text }) => text.includes('}'))
    t.equal(
      await new Promise((resolve, reject) =>
        app.server.getConnections((error, count) =>
          error === null ? resolve(count) : reject(error)
        )
      ),
      2,
      'the open websocket, and the HTTP connection that is kept alive'
    )
    await app.close()
  }
)

void t.test('routes of @fastify/websocket work beside those of this plugin', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/own', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(`own ${String(data)}`) }
    })
    app.get('/theirs', { websocket: true }, (socket) => {
      socket.on('message', (data: Buffer) => socket.send(`theirs ${data.toString()}`))
    })
    app.route({
      method: 'GET',
      url: '/both',
      handler: () => 'plain',
      wsHandler: (socket) => {
        socket.on('message', (data: Buffer) => socket.send(`both ${data.toString()}`))
      }
    })
    app.get(
      '/hooked',
      { websocket: true, onRequest: async (_request, reply) => reply.code(401).send('no') },
      () => {}
    )
    app.get('/slow', { websocket: true, onRequest: () => {} }, () => {})
  }, { websock: { upgradeTimeoutMs: 50, closeTimeoutMs: HOUR } })
  const clients = []
  for (const path of ['/own', '/theirs', '/both']) {
    const client = await connect(t, server.url(path))
    client.send('hi')
    t.equal(await client.next(), `${path.slice(1)} hi`)
    const raw = (await connectRaw(t, server.port)).write(
      Buffer.concat([Buffer.from(handshake(path)), text('early')])
    )
    await raw.until((raw) => raw.frames().length === 1)
    t.equal(String(raw.frames()[0]?.payload), `${path.slice(1)} early`)
    raw.socket.destroy()
    clients.push(client)
  }
  t.equal(await (await fetch(server.http('/both'))).text(), 'plain')
  t.equal((await fetch(server.http('/theirs'))).status, 404)
  t.match(await refused(server.url('/hooked')), { status: 401, body: 'no' })
  t.equal((await refused(server.url('/slow'))).status, 503)
  await server.app.close()
  for (const client of clients) t.same(await client.closed, { code: 1012, reason: '' })
})

void t.test('injectWS opens websocketHandler routes too, and gets their refusals', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  app.get('/ws', {
    websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(`echo ${String(data)}`) }
  })
  app.get('/hooked', {
    preHandler: async (_request, reply) => reply.code(401).send('no'),
    websocketHandler: {}
  })
  await app.ready()
  const socket = await app.injectWS('/ws')
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(20_000) })
  socket.send('hi')
  t.equal(String((await answer)[0]), 'echo hi')
  socket.terminate()
  await t.rejects(app.injectWS('/hooked'), { message: 'Unexpected server response: 401' })
  await t.rejects(app.injectWS('/nowhere'), { message: 'Unexpected server response: 404' })
  await t.rejects(app.injectWS('/ws', { headers: { origin: 'https://evil.example' } }), {
    message: 'Unexpected server response: 403'
  })
})

void t.test('upgrades, refusals and plain requests work over TLS', async (t) => {
  const read = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures', name))
  const ca = read('localhost-cert.pem')
  const { app } = buildApp(t, {
    fastify: { https: { key: read('localhost-key.pem'), cert: ca } } as object
  })
  await app.register(websock, { closeTimeoutMs: HOUR, upgradeTimeoutMs: HOUR })
  app.get('/ws', {
    websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(`echo ${String(data)}`) }
  })
  app.get('/page', ({ protocol }) => ({ protocol }))
  app.get('/big', {
    onRequest: async (_request, reply) => reply.code(403).send(Buffer.alloc(3 * 1024 * 1024, 'x')),
    websocketHandler: {}
  })
  const { port } = await listen(app)
  const url = (path: string) => `wss://127.0.0.1:${port}${path}`
  const client = await connect(t, url('/ws'), { ca, origin: 'https://127.0.0.1' })
  client.send('hi')
  t.equal(await client.next(), 'echo hi')
  t.match(await refused(url('/ws'), { ca, origin: 'https://evil.example' }), {
    status: 403,
    headers: { connection: 'close' }
  })
  t.equal((await refused(url('/big'), { ca })).body.length, 3 * 1024 * 1024)

  const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ports = new Set<number | undefined>()
  for (let i = 0; i < 3; i++) {
    const request = get({
      agent,
      port,
      host: '127.0.0.1',
      path: '/page',
      headers: { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' }
    })
    const [response] = await once(request, 'response') as [IncomingMessage]
    ports.add(request.socket?.localPort)
    t.equal(Buffer.concat(await response.toArray() as Buffer[]).toString(), '{"protocol":"https"}')
  }
  const tls: TLSSocket = connectTls({ port, host: '127.0.0.1', ca })
  t.teardown(() => tls.destroy())
  const chunks: Buffer[] = []
  tls.on('data', (chunk: Buffer) => chunks.push(chunk))
  tls.write(handshake('/page').replace('Upgrade: websocket', 'Upgrade: h2c'))
  tls.write('GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(tls, 'close', { signal: AbortSignal.timeout(20_000) })
  t.match(parseAnswers(Buffer.concat(chunks).toString('latin1')), [
    { status: 200, body: '{"protocol":"https"}' },
    { status: 200, body: '{"protocol":"https"}' }
  ])
})

void t.test('an upgrade that asks to close gets its refusal and is closed', async (t) => {
  const server = await startServer(
    t,
    (app) => {
      app.get('/ws', { websocketHandler: {} })
    },
    { websock: { closeTimeoutMs: HOUR } }
  )
  t.match(
    await exchange(
      t,
      server.port,
      handshake('/ws', { Connection: 'close, upgrade', Host: undefined })
    ),
    { status: 400, headers: { connection: ['close'] } }
  )
})
