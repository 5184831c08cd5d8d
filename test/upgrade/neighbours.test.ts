import { readFileSync } from 'node:fs'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { once } from 'node:events'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { ask, connect, refused } from '../helpers/client.ts'
import { exchange, handshake } from '../helpers/raw.ts'
import { buildApp, listen, startServer, type App } from '../helpers/server.ts'

const ORDERS = ['before this plugin', 'after this plugin'] as const
const echo: { websocketHandler: WebsocketHandler } = {
  websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
}
const plugin = (build: (app: App) => unknown) => fp(async (app) => { build(app as unknown as App) })

void t.test('another plugin may wrap the handlers of routes', async (t) => {
  for (const order of ORDERS) {
    for (const style of ['sync', 'async'] as const) {
      const { app } = buildApp(t)
      let sent = 0
      const wrapping = plugin((app) => app.addHook('onRoute', (route) => {
        const { handler } = route
        route.handler = style === 'sync'
          ? function (...args) { return handler.apply(this, args) as unknown }
          : async function (...args) { return handler.apply(this, args) as unknown }
      }))
      if (order === 'before this plugin') await app.register(wrapping)
      await app.register(websock)
      if (order === 'after this plugin') await app.register(wrapping)
      app.addHook('onSend', async () => { sent++; await new Promise(setImmediate) })
      app.get('/ws', { ...echo })
      app.get('/both', { ...echo, handler: () => 'plain' })
      const server = await listen(app)
      const name = `${style}, ${order}`
      t.equal(await ask(t, server.url('/ws'), 'hi'), 'hi', name)
      t.equal(sent, 1, 'onSend hooks run once')
      for (const method of ['GET', 'HEAD']) {
        const answer = await fetch(server.http('/ws'), {
          method,
          signal: AbortSignal.timeout(20_000)
        })
        t.match(
          [answer.status, answer.headers.get('upgrade')],
          [426, 'websocket'],
          `${name}: ${method}`
        )
      }
      t.equal(await (await fetch(server.http('/both'))).text(), 'plain')
    }
  }
})

void t.test('hooks that another plugin adds to a route later run in their order', async (t) => {
  const { app } = buildApp(t)
  const calls: string[] = []
  await app.register(websock, {
    checkOrigin: (_origin) => {
      calls.push('request checks')
      return true
    }
  })
  const hooks = {
    onRequest: async () => {
      calls.push('onRequest')
    },
    onSend: async (_request: FastifyRequest, reply: FastifyReply) => {
      calls.push('onSend')
      reply.header('x-later', '1')
    }
  }
  await app.register(plugin((app) => {
    app.addHook('onRoute', (route: RouteOptions) => {
      for (const [name, hook] of Object.entries(hooks)) {
        Object.assign(route, { [name]: [...[route[name as 'onSend'] ?? []].flat(), hook] })
      }
    })
    app.addHook('onRoute', (route: RouteOptions) => {
      for (const [name, hook] of Object.entries(hooks)) {
        (route[name as 'onSend'] as unknown[]).push(hook)
      }
    })
  }))
  app.get('/ws', {
    websocketHandler: {
      init: (_args, ws) => {
        calls.push('init')
        return ws.push('open')
      }
    }
  })
  const server = await listen(app)
  const client = await connect(t, server.url('/ws'), { origin: 'https://a.example' })
  await client.next()
  t.equal(client.response.headers['x-later'], '1')
  t.same(calls, ['onRequest', 'onRequest', 'request checks', 'onSend', 'onSend', 'init'])
})

void t.test('no 101 is written into an answer that a hook has begun', async (t) => {
  const server = await startServer(t, (app) => {
    for (const phase of ['onRequest', 'preHandler', 'onSend'] as const) {
      app.get(`/${phase}`, {
        ...echo,
        [phase]: async (_request: FastifyRequest, reply: FastifyReply) => {
          if (reply.raw.headersSent) return
          reply.raw.writeHead(200, { 'content-length': 10 })
          reply.raw.write('begin')
          setImmediate(() => reply.raw.end(' end.'))
        }
      })
    }
  })
  for (const phase of ['onRequest', 'preHandler', 'onSend']) {
    t.match(
      await exchange(t, server.port, handshake(`/${phase}`)),
      { status: 200, body: 'begin end.' },
      phase
    )
  }
})

void t.test('attachValidation lets no invalid request into init', async (t) => {
  const inits: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/:n', {
      attachValidation: true,
      schema: { params: { type: 'object', properties: { n: { type: 'integer' } } } },
      handler: (request: FastifyRequest) =>
        `plain ${(request.validationError as { statusCode?: number } | undefined)?.statusCode}`,
      websocketHandler: {
        init: ({ params }, ws) => {
          inits.push(params)
          return ws.push('open')
        }
      } satisfies WebsocketHandler
    } as never)
  })
  t.match((await refused(server.url('/x'))).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
  t.equal(await (await fetch(server.http('/x'))).text(), 'plain 400')
  await (await connect(t, server.url('/1'))).next()
  t.same(inits, [{ n: 1 }])
})

void t.test('an HTTP/2 request for a websocket route is answered', async (t) => {
  const read = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures', name))
  const ca = read('localhost-cert.pem')
  for (const kind of ['TLS', 'clear'] as const) {
    const { app } = buildApp(t, {
      fastify: {
        http2: true,
        ...(kind === 'TLS'
          ? { https: { key: read('localhost-key.pem'), cert: ca, allowHTTP1: true } }
          : {})
      } as object
    })
    await app.register(websock)
    app.get('/ws', { ...echo })
    app.get('/both', { ...echo, handler: () => 'plain' })
    app.get(
      '/verdict',
      async (request) => (await app.websock.validateUpgrade(request))?.code ?? 'none'
    )
    const server = await listen(app)
    const session = connectHttp2(
      `${kind === 'TLS' ? 'https' : 'http'}://127.0.0.1:${server.port}`,
      { ca, rejectUnauthorized: false }
    )
    t.teardown(() => session.destroy())
    for (const method of ['GET', 'HEAD']) {
      const answer = await request(session, '/ws', method)
      t.match(answer, { status: 426, upgrade: undefined }, `${kind} ${method}`)
    }
    t.match(await request(session, '/ws', 'POST'), { status: 404 })
    t.match(await request(session, '/both'), { status: 200, body: 'plain' })
    t.match(await request(session, '/verdict'), { body: 'FST_WEBSOCK_UPGRADE_REQUIRED' })
    if (kind === 'TLS') {
      t.equal(await ask(t, `wss://127.0.0.1:${server.port}/ws`, 'hi', { ca }), 'hi')
    }
    session.close()
    await app.close()
  }
})

async function request (session: ClientHttp2Session, path: string, method = 'GET') {
  const stream = session.request({ ':path': path, ':method': method })
  stream.end()
  const [headers] = (await once(stream, 'response', { signal: AbortSignal.timeout(20_000) })) as [
    Record<string, unknown>
  ]
  return {
    status: headers[':status'],
    upgrade: headers['upgrade'],
    body: Buffer.concat((await stream.toArray()) as Buffer[]).toString()
  }
}

void t.test('@fastify/swagger lists no route that has only a websocketHandler', async (t) => {
  for (const order of ORDERS) {
    const { app } = buildApp(t)
    if (order === 'before this plugin') await app.register(swagger, { openapi: {} })
    await app.register(websock)
    if (order === 'after this plugin') await app.register(swagger, { openapi: {} })
    const schema = { querystring: { type: 'object', properties: {} } }
    app.get('/ws', { ...echo })
    app.get('/typed', { schema, ...echo } as never)
    app.get('/shown', { schema: { ...schema, hide: false }, ...echo } as never)
    app.get('/both', { ...echo, handler: () => 'plain' })
    await app.ready()
    t.same(
      Object.keys((app as unknown as { swagger: () => { paths: object } }).swagger().paths).sort(),
      ['/both', '/shown'],
      order
    )
    t.same(Object.keys(schema), ['querystring'], 'the schema of the application is not changed')
  }
})

void t.test('injectWS closes both ends at once', async (t) => {
  const { app } = buildApp(t)
  const ends: string[] = []
  await app.register(websock, { closeTimeoutMs: 3_600_000 })
  app.get('/ws', { websocketHandler: { terminate: ({ type }) => { ends.push(type) } } })
  await app.ready()
  const closing = await app.injectWS('/ws')
  const closed = once(closing, 'close', { signal: AbortSignal.timeout(20_000) })
  closing.close(4000)
  t.equal((await closed)[0], 4000)
  const open = await app.injectWS('/ws')
  const shut = once(open, 'close', { signal: AbortSignal.timeout(20_000) })
  await app.close()
  t.equal((await shut)[0], 1012)
  t.same(ends, ['remote', 'shutdown'])
})

void t.test('origins without a host can be listed', async (t) => {
  const list = ['null', 'file://', 'app://MyApp', 'capacitor://localhost', 'https://Page.example']
  const server = await startServer(
    t,
    (app) => {
      app.get('/ws', { ...echo })
    },
    { websock: { checkOrigin: list } }
  )
  for (const origin of [...list, 'https://page.example', 'app://myapp']) {
    t.equal(await ask(t, server.url('/ws'), 'hi', { origin }), 'hi', origin)
  }
  for (const origin of [
    'app://other',
    'app://',
    'nothing',
    'file://host',
    'https://null',
    'ionic://localhost',
    ''
  ]) {
    t.equal((await refused(server.url('/ws'), { headers: { origin } })).status, 403, origin)
  }
  const own = await startServer(t, (app) => { app.get('/ws', { ...echo }) })
  for (const origin of ['null', 'file://']) {
    t.equal((await refused(own.url('/ws'), { origin })).status, 403)
  }
})

void t.test('ws.signal accepts many listeners without a warning', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const server = await startServer(t, (app) => {
    app.get('/ws', {
      websocketHandler: {
        init: (_args, ws) => {
          for (let i = 0; i < 50; i++) ws.signal.addEventListener('abort', () => {})
          return ws.push('open')
        }
      }
    })
  })
  await (await connect(t, server.url('/ws'))).next()
  await new Promise(setImmediate)
  t.same(warnings, [])
})
