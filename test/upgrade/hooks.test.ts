import { Readable } from 'node:stream'
import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import websock from '../../src/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { connectRaw, exchange, handshake, text } from '../helpers/raw.ts'
import { buildApp, listen, startServer, type App, type Teardown } from '../helpers/server.ts'

const PHASES = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
const PLACES = ['before the plugin', 'after the plugin', 'in a child', 'on the route'] as const

type Hook = (request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void) => unknown

/**
 * Fastify distinguishes callback hooks from async hooks by the number of parameters. preParsing and
 * onSend have one more.
 */
function buildHook (phase: string, hook: Hook, style: 'callback' | 'async'): never {
  const hasPayload =
    phase === 'preParsing' || phase === 'onSend' || phase === 'preSerialization' ||
    phase === 'onError'
  if (style === 'callback') {
    if (hasPayload) {
      return ((
        request: FastifyRequest,
        reply: FastifyReply,
        _payload: unknown,
        next: (error?: Error) => void
      ) => hook(request, reply, next)) as never
    }
    return ((request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void) =>
      hook(request, reply, next)) as never
  }
  if (hasPayload) {
    return (async (request: FastifyRequest, reply: FastifyReply, _payload: unknown) =>
      hook(request, reply, () => {})) as never
  }
  return (async (request: FastifyRequest, reply: FastifyReply) =>
    hook(request, reply, () => {})) as never
}

async function start (t: Teardown, phase: string, place: typeof PLACES[number], hook: never) {
  const { app, logs } = buildApp(t)
  const add = (instance: App) => instance.addHook(phase as 'onRequest', hook)
  if (place === 'before the plugin') add(app)
  await app.register(websock, { closeTimeoutMs: 3_600_000 })
  if (place === 'after the plugin') add(app)
  await app.register(async (child) => {
    if (place === 'in a child') add(child as App)
    child.get('/ws', {
      ...(place === 'on the route' ? { [phase]: hook } : {}),
      websocketHandler: { init: (_args, ws) => ws.push('open') }
    })
  }, { prefix: '/api' })
  return { logs, ...await listen(app) }
}

const teapot = () => Object.assign(new Error('no tea'), { statusCode: 418, code: 'TEA' })
const answer = (reply: FastifyReply) =>
  reply.code(402).header('x-by', 'hook').header('set-cookie', ['a=1', 'b=2']).send({ pay: 'up' })

const ANSWERS: Array<{
  name: string
  style: 'callback' | 'async'
  hook: Hook
  status: number
  body: object
}> = [
  {
    name: 'answers',
    style: 'callback',
    hook: (_request, reply) => { answer(reply) },
    status: 402,
    body: { pay: 'up' }
  },
  {
    name: 'answers later',
    style: 'callback',
    hook: (_request, reply) => { setImmediate(() => answer(reply)) },
    status: 402,
    body: { pay: 'up' }
  },
  {
    name: 'answers and returns the reply',
    style: 'async',
    hook: (_request, reply) => answer(reply),
    status: 402,
    body: { pay: 'up' }
  },
  {
    name: 'throws',
    style: 'callback',
    hook: () => { throw teapot() },
    status: 418,
    body: { statusCode: 418, code: 'TEA', message: 'no tea' }
  },
  {
    name: 'fails',
    style: 'callback',
    hook: (_request, _reply, next) => next(teapot()),
    status: 418,
    body: { statusCode: 418, code: 'TEA', message: 'no tea' }
  },
  {
    name: 'rejects',
    style: 'async',
    hook: () => { throw teapot() },
    status: 418,
    body: { statusCode: 418, code: 'TEA', message: 'no tea' }
  },
  {
    name: 'writes by itself',
    style: 'callback',
    hook: (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(402, { 'x-by': 'hook', 'set-cookie': ['a=1', 'b=2'] }).end('{"pay":"up"}')
    },
    status: 402,
    body: { pay: 'up' }
  }
]

for (const phase of PHASES) {
  void t.test(`an answer of ${phase} is the answer to the upgrade`, async (t) => {
    for (const place of PLACES) {
      for (const { name, style, hook, status, body } of ANSWERS) {
        await t.test(`${place}, when it ${name}`, async (t) => {
          const server = await start(t, phase, place, buildHook(phase, hook, style))
          const reply = await refused(server.url('/api/ws'))
          t.equal(reply.status, status)
          t.match(reply.json(), body)
          t.equal(reply.headers.connection, 'close')
          if (status === 402) {
            t.match(reply.headers, { 'x-by': 'hook', 'set-cookie': ['a=1', 'b=2'] })
          }
        })
      }
    }
  })
}

void t.test('an onSend hook that fails at the 101 answers with its error instead', async (t) => {
  for (const place of PLACES) {
    for (const { name, style, hook } of ANSWERS.slice(3, 6)) {
      await t.test(`${place}, when it ${name}`, async (t) => {
        let calls = 0
        const server = await start(t, 'onSend', place, buildHook(
          'onSend',
          (request, reply, next) => (++calls === 1 ? hook(request, reply, next) : next()),
          style
        ))
        const reply = await refused(server.url('/api/ws'))
        t.equal(reply.status, 418)
        t.match(reply.json(), { statusCode: 418, message: 'no tea' })
      })
    }
  }
})

void t.test('hooks run once and in order, and init after them', async (t) => {
  for (const refusing of ['', 'upgrade', 'handler']) {
    const calls: string[] = []
    const { app } = buildApp(t)
    const hooksOf = (place: string) =>
      Object.fromEntries(
        [...PHASES, 'preSerialization', 'onSend', 'onError', 'onResponse'].map((phase) => [
          phase,
          buildHook(phase, () => { calls.push(`${phase} ${place}`) }, 'async')
        ])
      )
    const addAll = (instance: App, place: string) => {
      for (const [phase, hook] of Object.entries(hooksOf(place))) {
        instance.addHook(phase as 'onRequest', hook)
      }
    }
    addAll(app, 'before')
    await app.register(websock, { maxConnections: 1 })
    addAll(app, 'after')
    await app.register(async (child) => {
      addAll(child as App, 'child')
      child.setErrorHandler((error: Error & { statusCode: number }, _request, reply) => {
        reply.code(error.statusCode).send({ said: error.message })
      })
      child.get('/ws', {
        ...hooksOf('route'),
        websocketHandler: {
          init: (_args, ws) => {
            calls.push('init')
            return ws.push('open')
          }
        }
      })
      child.get('/other', { websocketHandler: {} })
    })
    const server = await listen(app)
    const all = (...phases: string[]) =>
      phases.flatMap((phase) =>
        ['before', 'after', 'child', 'route'].map((place) => `${phase} ${place}`)
      )
    if (refusing === '') {
      await (await connect(t, server.url('/ws'))).next()
      t.same(calls, [...all(...PHASES, 'onSend'), 'init'])
    } else {
      if (refusing === 'handler') await connect(t, server.url('/other'))
      calls.length = 0
      const { status } = await refused(
        server.url('/ws'),
        refusing === 'upgrade' ? { origin: 'http://evil.example' } : {}
      )
      t.equal(status, refusing === 'upgrade' ? 403 : 503)
      t.same(calls, all(
        ...(refusing === 'upgrade' ? ['onRequest'] : PHASES),
        'onError',
        'preSerialization',
        'onSend',
        'onResponse'
      ))
    }
  }
})

void t.test('the nearest error handler answers every refusal', async (t) => {
  const server = await startServer(t, async (app) => {
    app.setErrorHandler((error: Error & { code: string }, _request, reply) => {
      reply.code(499).send(`root ${error.code}`)
    })
    app.get('/ws', { websocketHandler: {} })
    await app.register(async (child) => {
      child.setErrorHandler(async (error: Error & { code: string }) => {
        throw Object.assign(new Error(`child ${error.code}`), { code: error.code })
      })
      child.get('/child', { websocketHandler: {} })
      child.get('/hook', {
        preHandler: async () => { throw teapot() },
        websocketOptions: { checkOrigin: false },
        websocketHandler: {}
      })
    })
    await app.register(async (child) => {
      child.setErrorHandler((error, _request, reply) => { reply.send(error) })
      child.get('/same', { websocketHandler: {} })
    })
  })
  const options = { origin: 'http://evil.example' }
  t.match(await refused(server.url('/ws'), options), {
    status: 499,
    body: 'root FST_WEBSOCK_ORIGIN_REFUSED'
  })
  t.match(await refused(server.url('/child'), options), {
    status: 499,
    body: 'root FST_WEBSOCK_ORIGIN_REFUSED'
  })
  t.match(await refused(server.url('/hook'), options), { status: 499, body: 'root TEA' })
  t.match(await refused(server.url('/same'), options), {
    status: 499,
    body: 'root FST_WEBSOCK_ORIGIN_REFUSED'
  })
  const plain = await fetch(server.http('/ws'))
  t.equal(plain.status, 499)
  t.equal(
    plain.headers.get('upgrade'),
    'websocket',
    'the headers of the refusal are kept'
  )
})

void t.test('a body of 3 MiB is complete, also for a client that has sent frames', async (t) => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const whole = 'x'.repeat(3 * 1024 * 1024)
  const bodies: Record<string, (reply: FastifyReply) => unknown> = {
    streamed: (reply) =>
      reply.code(403).send(Readable.from(Array.from({ length: 48 }, () => chunk))),
    whole: (reply) => reply.code(403).send(Buffer.from(whole))
  }
  for (const [name, hook] of Object.entries(bodies)) {
    const server = await start(
      t,
      'preHandler',
      'on the route',
      buildHook('preHandler', (_request, reply) => hook(reply), 'async')
    )
    const { status, body } = await refused(server.url('/api/ws'))
    t.equal(status, 403, name)
    t.ok(body === whole, name)
    const early = await exchange(t, server.port, Buffer.concat([
      Buffer.from(handshake('/api/ws')),
      ...Array.from({ length: 2000 }, () => text('early'))
    ]))
    t.equal(early.status, 403)
    t.ok(early.body.replaceAll(/[^x]+/g, '') === whole, `${name}, with frames`)
  }
})

void t.test('headers and cookies of hooks are on the 101, if they are valid', async (t) => {
  const { app } = buildApp(t)
  await app.register(cookie)
  await app.register(websock)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'x-one': 1,
      'x-list': ['a', 'b'],
      connection: 'close',
      upgrade: 'h2c',
      'keep-alive': 'timeout=5',
      'transfer-encoding': 'chunked',
      te: 'trailers',
      trailer: 'x'
    })
    reply.headers({
      'content-length': 5,
      'content-type': 'text/plain',
      'sec-websocket-accept': 'no',
      'sec-websocket-protocol': 'no',
      'sec-websocket-extensions': 'no'
    })
    reply.header('set-cookie', ['a=1', 'b=2'])
    reply.raw.setHeader('x-raw', 'yes')
  })
  app.addHook('preHandler', async (_request, reply) => {
    reply.setCookie('session', 's 1', { httpOnly: true })
  })
  app.addHook('onSend', async (_request, reply) => { reply.header('x-sent', 'late') })
  app.get('/ws', { websocketHandler: { init: (_args, ws) => ws.push('open') } })
  const server = await listen(app)
  const client = (await connectRaw(t, server.port)).write(handshake('/ws'))
  await client.until((client) => client.frames().length === 1)
  const [line, ...headers] = client.text.slice(0, client.text.indexOf('\r\n\r\n')).split('\r\n')
  t.equal(line, 'HTTP/1.1 101 Switching Protocols')
  t.same(headers.sort(), [
    'Connection: Upgrade',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    'Upgrade: websocket',
    'set-cookie: a=1',
    'set-cookie: b=2',
    'set-cookie: session=s%201; HttpOnly; SameSite=Lax',
    'x-list: a',
    'x-list: b',
    'x-one: 1',
    'x-raw: yes',
    'x-sent: late'
  ])
})

void t.test('a header that HTTP does not allow answers 500', async (t) => {
  const headers: Array<[string, string | string[]]> = [
    ['x-split', 'a\r\nx-evil: 1'],
    ['x-list', ['good', 'a\nx-evil: 1']],
    ['set-cookie', 'a=1\r\n\r\nevil'],
    ['x bad', 'name'],
    ['x-wide', '\u{1f600}']
  ]
  for (const [name, value] of headers) {
    const server = await startServer(t, (app) => {
      app.get('/ws', {
        onRequest: async (_request, reply) => { reply.header(name, value).header('x-good', '1') },
        websocketHandler: {}
      })
    })
    const reply = await refused(server.url('/ws'))
    t.equal(reply.status, 500, name)
    t.notOk('x-evil' in reply.headers)
    t.match(reply.json(), { statusCode: 500, error: 'Internal Server Error' })
    t.notMatch((await exchange(t, server.port, handshake('/ws'))).body, 'evil: ')
  }
})

void t.test('frames sent with the handshake and during slow hooks arrive in order', async (t) => {
  for (const phase of [...PHASES, 'onSend']) {
    let release = (): void => {}
    let entered = (): void => {}
    const inside = new Promise<void>((resolve) => { entered = resolve })
    const hook = buildHook(phase, async () => {
      entered()
      await new Promise<void>((resolve) => { release = resolve })
    }, 'async')
    const server = await startServer(t, (app) => {
      app.addHook(phase as 'onRequest', hook)
      app.get('/ws', {
        websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(String(data)) }
      })
    })
    const frames = Array.from({ length: 600 }, (_, i) => text(String(i)))
    const client = await connectRaw(t, server.port)
    client.write(Buffer.concat([Buffer.from(handshake('/ws')), ...frames.slice(0, 200)]))
    await inside
    client.write(Buffer.concat(frames.slice(200, 400)))
    release()
    client.write(Buffer.concat(frames.slice(400)))
    await client.until((client) => client.frames().length === 600)
    t.same(
      client.frames().map(({ payload }) => String(payload)),
      Array.from({ length: 600 }, (_, i) => String(i)),
      phase
    )
  }
})
