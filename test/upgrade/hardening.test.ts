import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { Mailbox, type Letter } from '../../src/connection/mailbox.ts'
import { EventLoop } from '../../src/event-loop.ts'
import { connect, refused } from '../helpers/client.ts'
import { connectRaw, frame, handshake, parseAnswers, text } from '../helpers/raw.ts'
import { buildApp, listen, startServer } from '../helpers/server.ts'

const echo: WebsocketHandler = { handleIn: (message, _state, ws) => ws.push(message) }
const MANY = Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`a${i}`, '']))

void t.test(
  'a request with more headers than Node reads gets 431',
  async (t) => {
    const called: string[] = []
    const server = await startServer(t, (app) => {
      app.get('/ws', {
        websocketHandler: {
          ...echo,
          init: () => {
            called.push('init')
          }
        }
      })
      app.get('/admin', () => {
        called.push('admin')
        return 'secret'
      })
      app.post('/post', () => {
        called.push('post')
        return 'posted'
      })
    })
    const smuggled = 'GET /admin HTTP/1.1\r\nHost: a\r\n\r\n'
    const heads = {
      'an Origin after many headers': handshake('/ws', { ...MANY, Origin: 'http://evil.example' }),
      'a body after many headers':
        handshake(
          '/post',
          { ...MANY, Upgrade: 'foo', 'Content-Length': String(smuggled.length) },
          'POST /post HTTP/1.1'
        ) + smuggled
    }
    for (const [name, head] of Object.entries(heads)) {
      const raw = await connectRaw(t, server.port)
      raw.write(head)
      await raw.ended
      t.equal(raw.status, 431, name)
      t.match(raw.text, /FST_WEBSOCK_TOO_MANY_HEADERS/)
      t.equal(raw.text.split('HTTP/1.1 ').length, 2, 'the client gets one answer')
    }
    t.same(called, [])
  }
)

void t.test(
  'an upgrade pipelined behind an endless answer is destroyed in time, and does not delay close',
  async (t) => {
    for (const how of ['time', 'close'] as const) {
      let entered = (): void => {}
      const waiting = new Promise<void>((resolve) => {
        entered = resolve
      })
      const server = await startServer(
        t,
        (app) => {
          app.get('/events', (_request, reply) => {
            entered()
            reply.type('text/event-stream').send(new PassThrough().on('close', () => {}))
          })
          app.get('/ws', { websocketHandler: echo })
        },
        { websock: { upgradeTimeoutMs: how === 'time' ? 200 : 60_000, closeTimeoutMs: 200 } }
      )
      const raw = await connectRaw(t, server.port)
      raw.write('GET /events HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/ws'))
      await waiting
      // Both requests are in one packet, which Node reads at once.
      await turn()
      if (how === 'close') await server.app.close()
      await raw.ended
      t.notMatch(raw.text, /101 Switching/)
    }
  }
)

void t.test('an upgrade on a socket with an earlier request works', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/slow', async () => { await turn(); return 'slow' })
    app.get('/ws', { websocketHandler: echo })
  })
  const raw = await connectRaw(t, server.port)
  raw.write(
    'GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/ws')
  )
  await raw.until((client) => client.text.includes('101 Switching Protocols\r\n'))
  t.equal(raw.text.match(/\r\n\r\nslow/g)?.length, 2, 'both answers came first')
})

void t.test('an upgrade after a request for which no hook runs works', async (t) => {
  const server = await startServer(
    t,
    (app) => {
      app.get('/ws', { websocketHandler: echo })
    },
    { level: 'silent' }
  )
  const raw = await connectRaw(t, server.port)
  raw.write('GET /% HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/ws'))
  await raw.until((client) => client.text.includes('101 Switching Protocols\r\n'))
  t.equal(raw.status, 400, 'the answer to the first request came first')
})

void t.test('with a logger that throws, a failed callback still closes with 1011', async (t) => {
  const { app } = buildApp(t, {
    fastify: {
      logger: {
        level: 'warn',
        stream: new PassThrough().resume(),
        serializers: {
          err: (error: { response: { status: number } }) =>
            ({ status: error.response.status }) as never
        }
      } as never
    }
  })
  const ends: unknown[] = []
  await app.register(websock)
  app.get('/', {
    websocketHandler: {
      handleIn: async () => { throw new Error('handleIn fails') },
      terminate: (reason) => { ends.push(reason); throw new Error('terminate fails') }
    }
  })
  app.get('/child', {
    childLoggerFactory: (logger) =>
      Object.assign(Object.create(logger) as typeof logger, {
        child: () => {
          throw new Error('no child')
        }
      }),
    websocketHandler: {
      handleIn: () => {
        throw new Error('at once')
      },
      terminate: (reason) => {
        ends.push(reason)
      }
    }
  })
  const server = await listen(app)
  for (const path of ['/', '/child']) {
    const client = await connect(t, server.url(path))
    client.send('fail')
    t.same(await client.closed, { code: 1011, reason: '' })
  }
  await app.close()
  t.match(ends, [{ type: 'error', code: 1011 }, { type: 'error', code: 1011 }])
})

void t.test('a key that is not a string refuses the upgrade', async (t) => {
  for (const key of [async () => 'same', () => undefined, () => 1]) {
    const server = await startServer(
      t,
      (app) => {
        app.get('/', { websocketHandler: echo })
      },
      { websock: { maxConnectionsPerKey: { max: 1, key: key as never } }, level: 'silent' }
    )
    const refusal = await refused(server.url('/'))
    t.equal(refusal.status, 500)
    t.equal(refusal.json().code, 'FST_WEBSOCK_INVALID_KEY')
  }
})

void t.test('a well-behaved client may send many pings at once', async (t) => {
  const server = await startServer(t, (app) => { app.get('/', { websocketHandler: echo }) })
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/'))
  await raw.until((client) => client.text.includes('\r\n\r\n'))
  raw.write(
    Buffer.concat([...Array.from({ length: 500 }, (_, i) => frame(9, String(i))), text('after')])
  )
  await raw.until((client) => client.frames().length === 501)
  t.same(
    raw.frames().map(({ payload }) => payload.toString()),
    [...Array.from({ length: 500 }, (_, i) => String(i)), 'after']
  )
})

void t.test(
  'header values on the 101 are latin1, and only headers of a body are removed',
  async (t) => {
    const server = await startServer(t, (app) => {
      app.get('/', {
        onRequest: async (_request, reply) => {
          reply.headers({
            'x-name': 'Zoë',
            'content-security-policy': "default-src 'self'",
            'content-type': 'text/plain',
            'content-length': '5'
          })
        },
        websocketHandler: echo
      })
    })
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    await raw.until((client) => client.text.includes('\r\n\r\n'))
    const [answer] = parseAnswers(raw.text)
    t.equal(answer?.status, 101)
    t.match(answer?.headers, {
      'x-name': ['Zoë'],
      'content-security-policy': ["default-src 'self'"]
    })
    t.notOk(
      answer !== undefined &&
        ('content-type' in answer.headers || 'content-length' in answer.headers)
    )
  }
)

void t.test(
  'a handled letter can be collected while others still wait',
  async (t) => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const mailbox = new Mailbox<Letter & { payload: object }>({
      limits: { maxMailboxLength: 100, maxMailboxBytes: 1e9, maxMailboxInfos: 100 },
      sharing: { loop: new EventLoop() },
      holdReading: () => {},
      mailboxIsLong: () => {},
      deliver: () => false
    })
    const payloads = Array.from({ length: 10 }, () => {
      const payload = { some: 'bytes' }
      mailbox.post({ bytes: 1, payload })
      return new WeakRef(payload)
    })
    for (let handled = 0; handled < 5; handled++) mailbox.next()
    await turn()
    gc()
    t.equal(mailbox.length, 4)
    t.ok(
      payloads.slice(0, 5).every((ref) => ref.deref() === undefined),
      'the handled letters are collected'
    )
    t.ok(
      payloads.slice(6).every((ref) => ref.deref() !== undefined),
      'the waiting letters are kept'
    )
  }
)

void t.test('misspelt names are refused at start', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  const code = 'FST_WEBSOCK_INVALID_HANDLER'
  t.throws(() => app.get('/1', { websocketHandler: { handleMessage () {} } } as never), {
    code,
    message: /GET:\/1: `websocketHandler\.handleMessage` must be one of init, /
  })
  t.throws(() => app.get('/2', { websocketHandler: { onMessage () {} } } as never), { code })
  t.throws(() => app.get('/3', { websocketHandler () {} } as never), {
    code,
    message: /an object with callbacks/
  })
  t.throws(() => app.get('/4', { websocketOptions: {}, handler: () => 'plain' }), {
    code,
    message: /GET:\/4/
  })
  app.get('/5', { schema: { websocket: { recieve: {} } }, websocketHandler: echo } as never)
  await t.rejects(async () => app.ready(), {
    code: 'FST_WEBSOCK_INVALID_SCHEMA',
    message:
      'Route GET:/5: `schema.websocket.recieve` cannot be compiled: the known schemas are ' +
      'receive, send and info'
  })
})
