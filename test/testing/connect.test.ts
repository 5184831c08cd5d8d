import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import t, { type Test } from 'tap'
import websock, { pingFrame, withTypeProvider } from '../../src/index.ts'
import { connect } from '../../src/testing/index.ts'
import { buildApp, type App } from '../helpers/server.ts'

const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()

const route = defineWebsocketRoute({
  schema: {
    querystring: Type.Object({ nick: Type.String({ minLength: 1 }) }),
    websocket: {
      receive: Type.Union([
        Type.Object({ event: Type.Literal('say'), text: Type.String() }),
        Type.Object({ event: Type.Literal('leave') })
      ]),
      send: Type.Union([
        Type.Object({ event: Type.Literal('hello'), nick: Type.String() }),
        Type.Object({ event: Type.Literal('said'), text: Type.String() }),
        Type.Object({ event: Type.Literal('pong'), bytes: Type.Integer() })
      ])
    }
  },
  websocketOptions: { subprotocols: ['v2', 'v1'] },
  websocketHandler: {
    init: ({ query }, ws) =>
      ws.push(
        [
          { event: 'hello', nick: query.nick },
          { event: 'said', text: 'at once' }
        ],
        { nick: query.nick }
      ),
    on: {
      event: {
        say: ({ text }, _state, ws) => ws.push({ event: 'said', text }),
        leave: (_message, _state, ws) => ws.stop('normal', [4000, 'bye'])
      }
    },
    handleControl: ({ opcode, data }, _state, ws) =>
      opcode === 'ping' ? ws.push({ event: 'pong', bytes: data.length }) : undefined
  }
})

async function build (
  t: Test,
  declare: (app: App) => void = (app) => {
    app.get('/', route)
  }
): Promise<App> {
  const { app } = buildApp(t)
  await app.register(websock)
  declare(app)
  return app
}

void t.test(
  'an app that does not listen is started; the types of messages are those of the route',
  async (t) => {
    const app = await build(t, (app) => {
      app.get('/', {
        ...route,
        onRequest: (_request, reply, done) => {
          reply.header('set-cookie', 'a=1')
          done()
        }
      })
    })
    const [client, other] = await Promise.all([
      connect<typeof route>(app, '/?nick=ann', { subprotocols: ['v1'] }),
      connect<typeof route>(app, '/?nick=bob')
    ])
    t.match(app.server.address(), { address: '127.0.0.1' })
    const hello: { event: 'hello', nick: string } = await client.next('hello')
    t.same(hello, { event: 'hello', nick: 'ann' })
    t.equal(client.subprotocol, 'v1')
    t.equal(other.subprotocol, null)
    t.same(client.headers['set-cookie'], ['a=1'])
    t.same(await client.next(), { event: 'said', text: 'at once' })
    client.send({ event: 'say', text: 'hi' })
    // @ts-expect-error -- no message of the route
    client.send({ event: 'say', txt: 'hi' })
    t.same(await client.nextWhere((message) => message.event === 'said'), {
      event: 'said',
      text: 'hi'
    })
    t.match(await client.closed, { code: 1008 })
    t.same(client.received.length, 3)
    t.same(await other.close(4001, 'enough'), { code: 4001, reason: 'enough' })
  }
)

void t.test('next takes the wanted message and leaves the others in order', async (t) => {
  const app = await build(t)
  await using client = await connect<typeof route>(app, '/?nick=ann')
  for (const text of ['1', '2', '3']) client.send({ event: 'say', text })
  t.match(await client.nextWhere((message) => message.event === 'said' && message.text === '3'), {
    text: '3'
  })
  t.match(await client.next(), { event: 'hello' })
  t.match(await client.next('said'), { text: 'at once' })
  t.match(await client.next(), { text: '1' })
  t.match(await client.next(), { text: '2' })
  await client.silence(20)
})

void t.test(
  'a wait that fails rejects in time, with the transcript and a stack of the test',
  async (t) => {
    const app = await build(t)
    const client = await connect<typeof route>(app, '/?nick=ann', { timeoutMs: 500 })
    t.teardown(() => client.socket.destroy())
    const failure = (await client.next('pong').catch((error: Error) => error)) as Error
    t.match(
      failure.message,
      /^Unexpected: no message with the event pong within 500 ms\. So far:\n +\d+ ms {2}open\n/
    )
    t.match(failure.message, /ms {2}← {"event":"hello","nick":"ann"}\n/)
    t.match(failure.stack, /connect\.test\.ts/)
    await t.rejects(
      client.nextWhere(() => false),
      { code: 'FST_WEBSOCK_UNEXPECTED' }
    )
    await t.rejects(client.silence(10), /a message within the silence of 10 ms/)
    const late = (await client.closed.catch((error: Error) => error)) as Error
    t.match(late.message, /the connection did not end within 500 ms/)
    t.match(late.stack, /connect\.test\.ts/)
    await client.next()
    await client.next()
    const silent = client.silence(20_000)
    client.send({ event: 'leave' })
    await t.rejects(silent, /the end within the silence/)
    await t.rejects(
      client.next(),
      /no message before the end[^]*→ {"event":"leave"}[^]*closed 4000 bye/
    )
    t.same(await client.closed, { code: 4000, reason: 'bye' })
    t.throws(() => client.send({ event: 'leave' }), /nothing can be sent: the connection has ended/)
    t.same(await client.close(), { code: 4000, reason: 'bye' })
  }
)

void t.test('a refusal is a value', async (t) => {
  const app = await build(t)
  await using client = await connect<typeof route>(app, '/?nick=')
  t.match(client.refused, { statusCode: 400, headers: { 'content-type': /json/ } })
  t.match(client.refused?.json(), { message: /nick/ })
  await t.rejects(client.next(), /the upgrade was refused\. So far:\n +\d+ ms {2}refused: 400 {/)
  await t.rejects(client.silence(1), /refused/)
  await t.rejects(client.closed, /refused/)
  t.throws(() => client.send({ event: 'leave' }), /refused/)
  t.match((await connect(app, '/nowhere')).refused, { statusCode: 404 })
  t.match(
    (await connect(app, '/?nick=a', { headers: { origin: 'http://evil.example' } })).refused,
    { statusCode: 403 }
  )
})

void t.test('a server that hangs up without an answer is an error', async (t) => {
  const { app } = buildApp(t)
  app.server.on('upgrade', (_request, socket) => socket.destroy())
  await t.rejects(connect(app, '/'), { code: 'ECONNRESET' })
})

void t.test('raw frames, pings both ways, long and fragmented messages', async (t) => {
  const app = await build(t, (app) => {
    app.get('/', route)
    app.get('/raw', { websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) } })
    app.get('/ping', {
      websocketHandler: {
        init: (_args, ws) => ws.push(pingFrame('you')),
        handleControl: ({ data }, _state, ws) => ws.push(data)
      }
    })
  })
  await using client = await connect<typeof route>(app, '/?nick=ann')
  client.ping('12345')
  t.same(await client.next('pong'), { event: 'pong', bytes: 5 })
  client.sendRaw('{')
  t.same(await client.closed, { code: 1007, reason: 'message cannot be decoded' })

  await using raw = await connect(app, '/raw', { codec: 'raw' })
  for (const length of [0, 125, 126, 65_535, 65_536, 300_000]) {
    raw.sendRaw('é'.repeat(length / 2))
    t.equal(await raw.next(), 'é'.repeat(length / 2))
    raw.sendRaw(Buffer.alloc(length, 7))
    t.same(await raw.next(), Buffer.alloc(length, 7))
  }
  raw.send('text')
  t.equal(await raw.next(), 'text')
  await using pinged = await connect(app, '/ping', { codec: 'raw' })
  t.equal(String(await pinged.next()), 'you')
  await using wrong = await connect(app, '/ping')
  t.match(await wrong.closed, { code: 1006 })
  t.match(wrong.transcript, /not understood: a binary frame, but the codec reads text \(option/)
  await using noJson = await connect(app, '/raw')
  noJson.sendRaw('hello')
  await t.rejects(noJson.next(), /not understood: .*hello.* \(option `codec`\)\n/)
})

void t.test(
  'invalid bytes end the connection and are in the transcript; fragments are joined',
  async (t) => {
    const answers = [
      [[0x01, 1, 0x22, 0x00, 1, 0x61, 0x80, 1, 0x22], '"a"'],
      [[0xc1, 0], /reserved bit/],
      [[0x81, 0x80, 0, 0, 0, 0], /masked/],
      [[0x83, 0], /opcode 3/],
      [[0x80, 0], /fragment of no message/],
      [[0x01, 0, 0x81, 0], /fragment of no message/],
      [[0x88, 1, 0], /one byte/],
      [[0x09, 0], /fragment/],
      [[0x89, 126, 0, 126, ...Array<number>(126).fill(0)], /too long/]
    ] as const
    for (const [bytes, outcome] of answers) {
      const server = createServer((socket: Socket) => {
        socket.on('error', () => {})
        socket.once('data', () => {
          // The head and the bytes are in one packet.
          socket.write(
            Buffer.concat([
              Buffer.from(
                'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
                'Connection: Upgrade\r\n\r\n'
              ),
              Buffer.from(bytes)
            ])
          )
        })
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const app = { server, ready: async () => {}, listen: async () => '' }
      const client = await connect(app as never, '/')
      t.teardown(() => {
        client.socket.destroy()
        server.close()
      })
      if (typeof outcome === 'string') t.equal(JSON.stringify(await client.next()), outcome)
      else {
        t.match(await client.closed, { code: 1006 })
        t.match(client.transcript, outcome)
      }
    }
  }
)

void t.test('connect works over TLS and Unix sockets', async (t) => {
  const fixtures = join(__dirname, '../fixtures')
  const https = {
    key: readFileSync(join(fixtures, 'localhost-key.pem')),
    cert: readFileSync(join(fixtures, 'localhost-cert.pem'))
  }
  const secure = Fastify({ https })
  t.teardown(() => secure.close())
  await secure.register(websock)
  secure.get('/', route as never)
  await using client = await connect<typeof route>(secure as never, '/?nick=ann')
  t.match(await client.next(), { nick: 'ann' })
  const app = await build(t)
  await app.listen({ path: join(tmpdir(), `websock-${process.pid}.sock`) })
  await using other = await connect<typeof route>(app, '/?nick=bob', { headers: { host: 'x' } })
  t.match(await other.next(), { nick: 'bob' })
})

void t.test('await using closes the connection, also of a client that does not read', async (t) => {
  const reasons: unknown[] = []
  const app = await build(t, (app) => {
    app.get('/', { websocketHandler: { terminate: (reason) => { reasons.push(reason) } } })
  })
  {
    await using client = await connect(app, '/')
    t.ok(client)
  }
  t.match(reasons, [{ type: 'remote', code: 1000 }])
  {
    await using client = await connect(app, '/', { timeoutMs: 20 })
    client.socket.pause()
  }
  t.match(reasons, { length: 2 })
})
