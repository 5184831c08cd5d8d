import t from 'tap'
import type { FastifyRequest } from 'fastify'
import websock, { type WebsockOptions } from '../../src/index.ts'
import { connect, refused, type Client } from '../helpers/client.ts'
import { closeFrame, connectRaw, exchange, handshake, text } from '../helpers/raw.ts'
import { until } from '../helpers/differential.ts'
import { buildApp, listen, startServer, type Teardown } from '../helpers/server.ts'

const HOUR = 3_600_000

/** A server with two routes, and a wait for the `terminate` of a connection. */
async function start (t: Teardown, options: WebsockOptions) {
  let ended = (): void => {}
  const terminate = (): void => { setImmediate(ended) }
  const server = await startServer(
    t,
    (app) => {
      app.get('/a', { websocketHandler: { init: (_args, ws) => ws.push('open'), terminate } })
      app.get('/b', {
        websocketHandler: {
          init: () => {
            throw new Error('no')
          },
          terminate
        }
      })
      app.get('/forbidden', {
        preHandler: async (_request, reply) => reply.code(403).send('no'),
        websocketHandler: {}
      })
    },
    { websock: { closeTimeoutMs: HOUR, ...options }, fastify: { trustProxy: true }, level: 'fatal' }
  )
  const leave = async (client: Client, how: () => void) => {
    const gone = new Promise<void>((resolve) => { ended = resolve })
    how()
    await Promise.all([gone, client.closed])
  }
  return { ...server, leave }
}

void t.test(
  'an upgrade beyond maxConnections gets 503 with Retry-After, until a connection ends',
  async (t) => {
    const server = await start(t, { maxConnections: 2 })
    const first = await connect(t, server.url('/a'))
    const second = await connect(t, server.url('/a'))
    for (const path of ['/a', '/b']) {
      const reply = await refused(server.url(path))
      t.match(reply, { status: 503, headers: { 'retry-after': '5', connection: 'close' } })
      t.match(reply.json(), {
        statusCode: 503,
        code: 'FST_WEBSOCK_TOO_MANY_CONNECTIONS',
        error: 'Service Unavailable'
      })
    }
    t.equal(
      (await refused(server.url('/forbidden'))).status,
      403,
      'hooks run before the limits are checked'
    )
    await server.leave(first, () => first.close())
    await connect(t, server.url('/a'))
    t.equal((await refused(server.url('/a'))).status, 503)
    await server.leave(second, () => second.socket.terminate())
    await connect(t, server.url('/a'))
    t.equal((await refused(server.url('/a'))).status, 503)
  }
)

void t.test('an upgrade without a 101 does not count towards the limits', async (t) => {
  const server = await start(t, { maxConnections: 1, maxConnectionsPerKey: 1 })
  for (let i = 0; i < 5; i++) {
    t.equal((await refused(server.url('/forbidden'))).status, 403)
    t.equal((await refused(server.url('/a'), { origin: 'https://evil.example' })).status, 403)
    const failing = await connect(t, server.url('/b'))
    t.equal((await failing.closed).code, 1011)
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/forbidden')).socket.destroy()
  }
  t.equal(await (await connect(t, server.url('/a'))).next(), 'open')
})

void t.test(
  'an upgrade beyond maxConnectionsPerKey gets 429, by IP or by a key function',
  async (t) => {
    const rows: Array<[string, NonNullable<WebsockOptions['maxConnectionsPerKey']>, string]> = [
      ['the IP', 2, 'X-Forwarded-For'],
      [
        'a function',
        { max: 2, key: (request: FastifyRequest) => String(request.headers['x-user']) },
        'X-User'
      ]
    ]
    for (const [name, maxConnectionsPerKey, header] of rows) {
      await t.test(name, async (t) => {
        const server = await start(t, { maxConnectionsPerKey })
        const withKey = (key: string) => ({ headers: { [header]: key } })
        const first = await connect(t, server.url('/a'), withKey('10.0.0.1'))
        await connect(t, server.url('/a'), withKey('10.0.0.1'))
        const reply = await refused(server.url('/a'), withKey('10.0.0.1'))
        t.equal(reply.status, 429)
        t.match(reply.json(), {
          statusCode: 429,
          code: 'FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY',
          error: 'Too Many Requests'
        })
        t.equal(
          await (await connect(t, server.url('/a'), withKey('10.0.0.2'))).next(),
          'open',
          'each key has its own count'
        )
        await server.leave(first, () => first.close())
        await connect(t, server.url('/a'), withKey('10.0.0.1'))
        t.equal((await refused(server.url('/a'), withKey('10.0.0.1'))).status, 429)
      })
    }
  }
)

void t.test(
  'a key function that fails answers 500 without a connection, at whichever call',
  async (t) => {
    for (const failsAt of [1, 2, 3]) {
      let calls = 0
      const server = await start(t, {
        maxConnectionsPerKey: {
          max: 1,
          key: () => {
            if (++calls === failsAt) throw new Error('who?')
            return 'same'
          }
        }
      })
      t.match(await refused(server.url('/a')), { status: 500 }, `at call ${failsAt}`)
      calls = failsAt
      t.equal(
        await (await connect(t, server.url('/a'))).next(),
        'open',
        'the failed upgrade was not counted'
      )
    }
  }
)

void t.test(
  'limits hold for simultaneous upgrades, with slow hooks before and after the first check',
  async (t) => {
    for (const phase of ['preHandler', 'onSend']) {
      let waiting = 0
      let release = (): void => {}
      const all = new Promise<void>((resolve) => {
        release = resolve
      })
      const server = await startServer(
        t,
        (app) => {
          app.addHook(phase as 'preHandler', async (_request, reply) => {
            if (reply.statusCode === 503) return
            if (++waiting === 20) release()
            await all
          })
          app.get('/ws', { websocketHandler: {} })
        },
        { websock: { maxConnections: 3 } }
      )
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, async () => {
          try {
            await connect(t, server.url('/ws'))
            return 101
          } catch (error) {
            return Number(/\d+/.exec((error as Error).message)?.[0])
          }
        })
      )
      t.same(
        outcomes.sort(),
        [...Array<number>(3).fill(101), ...Array<number>(17).fill(503)],
        phase
      )
    }
  }
)

void t.test('while the server closes, upgrades get 503 with Retry-After', async (t) => {
  let release = (): void => {}
  const { app } = buildApp(t)
  await app.register(websock, { closeTimeoutMs: HOUR })
  app.get('/ws', {
    websocketHandler: {
      init: (_args, ws) => ws.push('open'),
      terminate: () =>
        new Promise<void>((resolve) => {
          release = resolve
        })
    }
  })
  app.get('/page', { websocket: true }, () => {})
  const server = await listen(app)
  const early = await Promise.all(Array.from({ length: 4 }, () => connectRaw(t, server.port)))
  const client = await connect(t, server.url('/ws'))
  await client.next()
  const closing = app.close()
  await client.closed
  for (const [i, path] of ['/ws', '/page', '/nowhere', '/ws'].entries()) {
    const raw = early[i]?.write(handshake(path)).write(text('early'))
    await raw?.ended
    t.match(
      raw?.text,
      /^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n/
    )
    t.match(raw?.text, '"code":"FST_WEBSOCK_DRAINING"')
  }
  release()
  await closing
})

void t.test('validateUpgrade returns the answer that the upgrade gets', async (t) => {
  const refusals: Array<[string, string, number | null]> = [
    ['nothing wrong', handshake('/ws', { 'Sec-WebSocket-Protocol': 'v1' }), null],
    ['version', handshake('/ws', { 'Sec-WebSocket-Version': '8' }), 426],
    ['key', handshake('/ws', { 'Sec-WebSocket-Key': undefined }), 400],
    ['Host', handshake('/ws', { Host: undefined }), 400],
    ['HTTP/1.0', handshake('/ws', {}, 'GET /ws HTTP/1.0'), 400],
    ['origin', handshake('/ws', { Origin: 'https://evil.example' }), 403],
    ['subprotocol', handshake('/ws', { 'Sec-WebSocket-Protocol': 'v2' }), 400],
    ['malformed subprotocol', handshake('/ws', { 'Sec-WebSocket-Protocol': 'v1 v2' }), 400]
  ]
  const verdicts: Array<{ statusCode?: number, code?: string, headers?: object } | null> = []
  const server = await startServer(t, (app) => {
    const look = async (request: FastifyRequest): Promise<void> => {
      verdicts.push(await app.websock.validateUpgrade(request))
    }
    app.get('/ws', {
      websocketOptions: { subprotocols: ['v1'], requireSubprotocol: true },
      onRequest: look,
      preValidation: look,
      preHandler: look,
      websocketHandler: {}
    })
    app.get(
      '/page',
      async (request) => (await app.websock.validateUpgrade(request)) ?? { verdict: null }
    )
    app.setNotFoundHandler(async (request, reply) =>
      reply
        .code(404)
        .send({ verdict: (await app.websock.validateUpgrade(request))?.code ?? null })
    )
  }, { websock: { closeTimeoutMs: HOUR } })
  for (const [name, bytes, status] of refusals) {
    verdicts.length = 0
    const client = (await connectRaw(t, server.port)).write(bytes)
    await client.until(
      ({ text }) => text.includes('\r\n\r\n') && (status === null || text.includes('}'))
    )
    t.equal(client.status, status ?? 101, name)
    t.ok(verdicts.length > 0)
    for (const verdict of verdicts) {
      if (status === null) { t.equal(verdict, null); continue }
      t.match(verdict, { statusCode: status }, name)
      t.ok(client.text.includes(`"code":"${String(verdict?.code)}"`))
      for (const [header, value] of Object.entries(verdict?.headers ?? {})) {
        t.ok(client.text.toLowerCase().includes(`${header}: ${String(value)}`), header)
      }
    }
    client.socket.destroy()
  }
  t.match(await exchange(t, server.port, handshake('/page')), {
    status: 200,
    body: '{"verdict":null}'
  })
  t.match(await exchange(t, server.port, handshake('/page', { Origin: 'https://evil.example' })), {
    status: 403,
    body: /FST_WEBSOCK_ORIGIN_REFUSED/
  })
  t.match(
    await exchange(t, server.port, handshake('/nowhere', { Origin: 'https://evil.example' })),
    { status: 404, body: '{"verdict":"FST_WEBSOCK_ORIGIN_REFUSED"}' }
  )
  t.equal((await fetch(server.http('/page'))).status, 426, 'a plain GET would not be upgraded')
  t.same(await (await fetch(server.http('/nowhere'))).json(), {
    verdict: 'FST_WEBSOCK_UPGRADE_REQUIRED'
  })
})

void t.test('validateUpgrade checks the limits', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/ws', { websocketHandler: {} })
    app.get('/look', async (request) => ({
      verdict: (await app.websock.validateUpgrade(request))?.code ?? null
    }))
  }, { websock: { maxConnections: 2, maxConnectionsPerKey: 1 } })
  t.equal((await refused(server.url('/look'))).body, '{"verdict":null}')
  await connect(t, server.url('/ws'))
  t.equal(
    (await refused(server.url('/look'))).body,
    '{"verdict":"FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY"}'
  )
  t.equal((await refused(server.url('/ws'))).status, 429)
})

void t.test('a closed socket does not count towards maxConnections', async (t) => {
  const gone: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { closeTimeoutMs: 100, terminateTimeoutMs: 500 },
      websocketHandler: {
        init ({ request }, ws) {
          request.raw.socket.on('close', () => gone.push(ws.id))
          return ws.push('ready')
        },
        handleIn: () => new Promise<void>(() => {})
      }
    })
  }, { level: 'silent', websock: { maxConnections: 1 } })
  for (let i = 0; i < 3; i++) {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    await raw.until((client) => client.frames().length === 1)
    raw.write(Buffer.concat([text('hang'), closeFrame(1000)]))
    await raw.ended
    // The server may see the close a little later than the client.
    await until(() => gone.length > i, 'the socket is not closed')
  }
  await server.app.websock.drain({ timeoutMs: 1 })
})
