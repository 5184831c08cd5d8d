import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import t from 'tap'
import type { WebsocketOptions } from '../../src/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { connectRaw, exchange, handshake, parseAnswers, text } from '../helpers/raw.ts'
import { startServer, type Teardown } from '../helpers/server.ts'

const HOUR = 3_600_000
const PHASES = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'onSend'] as const

type Late = (reply: FastifyReply, done: (error?: Error) => void) => unknown

const LATE: Record<string, Late> = {
  continues: (_reply, done) => done(),
  fails: (_reply, done) => done(new Error('too late')),
  answers: (reply) => reply.code(401).send({ too: 'late' }),
  'answers with 1 MiB': (reply) => reply.code(401).send(Buffer.alloc(1024 * 1024)),
  streams: (reply) => reply.code(401).send(Readable.from(['too', 'late'])),
  'writes by itself': (reply) => {
    reply.hijack()
    reply.raw.writeHead(401)
    reply.raw.end('too late')
  },
  'writes an early hint': (reply, done) => {
    reply.raw.writeEarlyHints({ link: '</a>; rel=preload' })
    done()
  },
  'never ends': () => {}
}

const continues = (name: string): boolean => name === 'continues' || name === 'writes an early hint'

/**
 * A server whose route `/slow` waits in the hook of this phase until the test releases it. `/fast`
 * does not wait.
 */
async function start (t: Teardown, phase: typeof PHASES[number], options: WebsocketOptions) {
  const events: string[] = []
  const inside: Array<(late: Late) => unknown> = []
  let entered = (): void => {}
  const hook = (reply: FastifyReply, done: (error?: Error) => void): void => {
    if (inside.length > 0) return done()
    inside.push((late) => late(reply, done))
    entered()
  }
  const server = await startServer(t, (app) => {
    app.get('/slow', {
      websocketOptions: options,
      [phase]:
          phase === 'preParsing' || phase === 'onSend'
            ? (_request: unknown, reply: FastifyReply, _payload: unknown, done: () => void) =>
                hook(reply, done)
            : (_request: unknown, reply: FastifyReply, done: () => void) => hook(reply, done),
      websocketHandler: {
        init: (_args, ws) => {
          events.push('init')
          return ws.push('open')
        },
        terminate: (reason) => {
          events.push(reason.type)
        }
      }
    })
    app.get('/fast', { websocketHandler: { init: (_args, ws) => ws.push('fast') } })
  }, { websock: { closeTimeoutMs: HOUR, upgradeTimeoutMs: HOUR } })
  const waiting = new Promise<void>((resolve) => { entered = resolve })
  const opened = once(server.app.server, 'connection') as Promise<[Socket]>
  const client = await connectRaw(t, server.port)
  const [socket] = await opened
  const gone = closed(socket)
  client.write(handshake('/slow')).write(text('early'))
  await waiting
  const finishHook = inside[0] as (late: Late) => unknown
  const stillWorks = async () => (await (await connect(t, server.url('/fast'))).next()) === 'fast'
  return { ...server, events, client, socket, gone, finishHook, stillWorks }
}

/** Without an 'error' listener, because the library must add one. */
function closed (stream: Socket | Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not closed within 20 s')), 20_000)
    stream.on('close', () => { clearTimeout(timer); resolve() })
  })
}

for (const phase of PHASES) {
  void t.test(
    `a slow ${phase} gets 503 after upgradeTimeoutMs, and its later answer is discarded`,
    async (t) => {
      for (const [name, late] of Object.entries(LATE)) {
        await t.test(`when it ${name}`, async (t) => {
          const server = await start(t, phase, { upgradeTimeoutMs: 30 })
          await server.client.ended
          await server.gone
          server.finishHook(late)
          t.ok(await server.stillWorks())
          const [answer, ...more] = parseAnswers(server.client.text)
          t.same(more, [])
          t.match(answer, { status: 503, headers: { connection: ['close'] } })
          t.match(JSON.parse(answer?.body ?? ''), {
            statusCode: 503,
            code: 'FST_WEBSOCK_UPGRADE_TIMEOUT',
            message: 'The upgrade was not answered within 30 ms'
          })
          t.same(server.events, [])
        })
      }
    }
  )

  void t.test(`a client that resets in a slow ${phase} does no harm`, async (t) => {
    for (const [name, late] of Object.entries(LATE)) {
      await t.test(`when it ${name}`, async (t) => {
        const server = await start(t, phase, {})
        server.client.socket.resetAndDestroy()
        await server.gone
        server.finishHook(late)
        t.ok(await server.stillWorks())
        t.same(server.events, [])
        await server.app.close()
      })
    }
  })

  void t.test(
    `a client that resets at the moment when a slow ${phase} ends does no harm`,
    async (t) => {
      for (const [name, late] of Object.entries(LATE)) {
        await t.test(`when it ${name}`, async (t) => {
          const server = await start(t, phase, { upgradeTimeoutMs: 300 })
          server.client.socket.resetAndDestroy()
          server.finishHook(late)
          await server.gone
          t.ok(await server.stillWorks())
          await server.app.close()
          t.ok(
            ['', ...(continues(name) ? ['init,remote'] : [])].includes(server.events.join()),
            'no connection was opened, or it has ended'
          )
        })
      }
    }
  )

  void t.test(`a client that ends TCP in a slow ${phase} is closed`, async (t) => {
    for (const [name, late] of Object.entries(LATE)) {
      await t.test(`when it ${name}`, async (t) => {
        const server = await start(
          t,
          phase,
          name === 'never ends' ? { upgradeTimeoutMs: 30 } : {}
        )
        server.client.socket.end()
        server.finishHook(late)
        await server.gone
        t.ok(await server.stillWorks())
        t.same(server.events.slice(0, 1), continues(name) ? ['init'] : [])
        await server.app.close()
        t.equal(server.events[1], server.events.length === 0 ? undefined : 'remote')
      })
    }
  })

  void t.test(
    `a slow ${phase} does not delay app.close(): its client gets 503 with Retry-After`,
    async (t) => {
      for (const [name, late] of Object.entries(LATE)) {
        await t.test(`also when it ${name} afterwards`, async (t) => {
          const server = await start(t, phase, {})
          const closing = server.app.close()
          await server.client.ended
          server.finishHook(late)
          await closing
          const [answer, ...more] = parseAnswers(server.client.text)
          t.same(more, [])
          t.match(answer, { status: 503, headers: { connection: ['close'], 'retry-after': ['5'] } })
          t.match(JSON.parse(answer?.body ?? ''), { code: 'FST_WEBSOCK_DRAINING' })
          t.same(server.events, [])
        })
      }
    }
  )
}

void t.test(
  'bytes that a client sends during a hook that refuses it do not keep the socket open',
  async (t) => {
    const server = await start(t, 'preHandler', {})
    server.client.write(Buffer.concat(Array.from({ length: 5 }, () => text('x'.repeat(60_000)))))
    server.finishHook((reply) => reply.code(401).send('no'))
    await server.client.ended
    await server.gone
    t.equal(server.client.status, 401)
  }
)

void t.test('a stream that answers after the timeout is not left open', async (t) => {
  const server = await start(t, 'preHandler', { upgradeTimeoutMs: 30 })
  await server.gone
  const stream = new Readable({ read () { this.push(Buffer.alloc(65_536)) } })
  const ended = closed(stream)
  server.finishHook((reply) => reply.send(stream))
  await ended
  t.pass()
})

void t.test('an answer that stalls is destroyed closeTimeoutMs after its deadline', async (t) => {
  const server = await start(t, 'preHandler', { upgradeTimeoutMs: 1000, closeTimeoutMs: 30 })
  server.finishHook((reply) => { reply.hijack(); reply.raw.writeHead(200).write('half') })
  await server.gone
  t.match(server.client.text, 'half')
  t.notMatch(server.client.text, '503')
})

void t.test(
  "the route's time limit applies to hooks of the root too, shorter or longer than the plugin's",
  async (t) => {
    const server = await startServer(
      t,
      (app) => {
        app.addHook('onRequest', (_request, _reply, _done) => {})
        app.get('/short', { websocketOptions: { upgradeTimeoutMs: 30 }, websocketHandler: {} })
      },
      { websock: { upgradeTimeoutMs: HOUR } }
    )
    t.match((await refused(server.url('/short'))).json(), {
      code: 'FST_WEBSOCK_UPGRADE_TIMEOUT',
      message: 'The upgrade was not answered within 30 ms'
    })
    t.match(await exchange(t, server.port, handshake('/short')), { status: 503 })
  }
)
