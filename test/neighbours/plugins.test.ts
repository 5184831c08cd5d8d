import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import rateLimit from '@fastify/rate-limit'
import requestContextPlugin, { requestContext } from '@fastify/request-context'
import session from '@fastify/session'
import swagger from '@fastify/swagger'
import underPressure from '@fastify/under-pressure'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor
} from '@opentelemetry/sdk-trace-node'
import type { FastifyRequest } from 'fastify'
import metrics from 'fastify-metrics'
import t, { type Test } from 'tap'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { ask, connect, refused } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { buildApp, listen, type App, type TestServer } from '../helpers/server.ts'

const ORDERS = ['before this plugin', 'after this plugin'] as const
const ORIGIN = 'https://page.example'
const echo: { websocketHandler: WebsocketHandler } = {
  websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(`echo ${String(data)}`) }
}

type Server = Omit<TestServer, 'logs'>

interface Neighbour {
  /** Registers the plugin. */
  readonly add: (app: App, t: Test) => unknown
  /** Declares more routes than `/ws`, which echoes. */
  readonly routes?: (app: App) => unknown
  /** Checks what the plugin does for an upgrade. */
  readonly check: (t: Test, server: Server) => Promise<void>
}

const spans = new InMemorySpanExporter()
/** Whether autoload has declared its websocket route in the last order. */
let isRoomDeclared = false

const neighbours: Readonly<Record<string, Neighbour>> = {
  '@fastify/cookie': {
    add: (app) => app.register(cookie),
    routes: (app) =>
      app.get('/cookie', {
        onRequest: async (request, reply) => {
          reply.setCookie('seen', request.cookies['name'] ?? '')
        },
        websocketHandler: {
          init: ({ request }, ws) => ws.push(`cookie ${String(request.cookies['name'])}`)
        }
      }),
    async check (t, server) {
      const client = await connect(t, server.url('/cookie'), { headers: { cookie: 'name=ann' } })
      t.same(client.response.headers['set-cookie'], ['seen=ann; SameSite=Lax'])
      t.equal(await client.next(), 'cookie ann')
    }
  },
  '@fastify/jwt': {
    add: (app) => app.register(jwt, { secret: 'a secret of the test' }),
    routes: (app) =>
      app.get('/jwt', {
        onRequest: async (request) => {
          await request.jwtVerify()
        },
        websocketHandler: {
          init: ({ request }, ws) => ws.push(`user ${(request.user as { name: string }).name}`)
        }
      }),
    async check (t, server) {
      t.equal((await refused(server.url('/jwt'))).status, 401)
      const token = server.app.jwt.sign({ name: 'ann' })
      const client = await connect(t, server.url('/jwt'), {
        headers: { authorization: `Bearer ${token}` }
      })
      t.equal(await client.next(), 'user ann')
    }
  },
  '@fastify/session': {
    async add (app) {
      await app.register(cookie)
      await app.register(session, {
        secret: 'a secret of at least 32 characters',
        cookie: { secure: false }
      })
    },
    routes: (app) =>
      app.get('/session', {
        preHandler: async (request) => {
          count(request)
        },
        websocketHandler: { init: ({ request }, ws) => ws.push(`visit ${count(request, 0)}`) }
      }),
    async check (t, server) {
      const first = await connect(t, server.url('/session'))
      t.equal(await first.next(), 'visit 1')
      const [header = ''] = first.response.headers['set-cookie'] ?? []
      const again = await connect(t, server.url('/session'), {
        headers: { cookie: header.replace(/;.*/, '') }
      })
      t.equal(await again.next(), 'visit 2', 'the session is stored with the 101')
    }
  },
  '@fastify/rate-limit': {
    add: (app) => app.register(rateLimit, { global: false }),
    routes: (app) => app.get('/limited', { config: { rateLimit: { max: 2 } }, ...echo }),
    async check (t, server) {
      const first = await connect(t, server.url('/limited'))
      t.equal(first.response.headers['x-ratelimit-remaining'], '1')
      await connect(t, server.url('/limited'))
      t.equal((await refused(server.url('/limited'))).status, 429)
    }
  },
  '@fastify/cors': {
    add: (app) => app.register(cors, { origin: ORIGIN }),
    async check (t, server) {
      const client = await connect(t, server.url('/ws'), { origin: ORIGIN })
      t.equal(client.response.headers['access-control-allow-origin'], ORIGIN)
      const preflight = await fetch(server.http('/ws'), {
        method: 'OPTIONS',
        headers: { origin: ORIGIN, 'access-control-request-method': 'GET' }
      })
      t.equal(preflight.status, 204)
    }
  },
  '@fastify/helmet': {
    add: (app) => app.register(helmet),
    async check (t, server) {
      const client = await connect(t, server.url('/ws'))
      t.equal(client.response.headers['x-content-type-options'], 'nosniff')
      const refusal = await refused(server.url('/ws'), { origin: 'https://evil.example' })
      t.match([refusal.status, refusal.headers['x-content-type-options']], [403, 'nosniff'])
    }
  },
  '@fastify/under-pressure': {
    add: (app) =>
      app.register(underPressure, {
        maxRssBytes: 1,
        sampleInterval: 10,
        pressureHandler: (request, reply) => {
          if (request.url === '/pressed') void reply.code(503).send({ error: 'under pressure' })
        }
      }),
    routes: (app) => app.get('/pressed', { ...echo }),
    async check (t, server) {
      // The plugin takes its first sample after a while.
      await until(() => server.app.memoryUsage().rssBytes > 1, 'no sample is taken')
      t.equal((await refused(server.url('/pressed'))).status, 503)
    }
  },
  '@fastify/request-context': {
    add: (app) => app.register(requestContextPlugin),
    routes: (app) =>
      app.get<{ Querystring: { user: string } }>('/context', {
        onRequest: async (request) => {
          requestContext.set('user' as never, request.query.user as never)
        },
        websocketHandler: {
          init: (_args, ws) => ws.push(`user ${String(requestContext.get('user' as never))}`)
        }
      }),
    async check (t, server) {
      const users = ['ann', 'bob']
      const clients = await Promise.all(
        users.map((user) => connect(t, server.url(`/context?user=${user}`)))
      )
      t.same(await Promise.all(clients.map((client) => client.next())), ['user ann', 'user bob'])
    }
  },
  '@fastify/autoload': {
    async add (app, t) {
      const dir = t.testdir({})
      await mkdir(join(dir, 'routes/rooms'), { recursive: true })
      // Registered first, autoload loads its routes before this plugin is there.
      isRoomDeclared = app.hasDecorator('websock')
      await writeFile(
        join(dir, 'routes/rooms/index.js'),
        `module.exports = async (app) => {
        if (!app.hasDecorator('websock')) return
        app.get('/:id', {
          websocketHandler: { init: ({ params }, ws) => ws.push('room ' + params.id) }
        })
      }`
      )
      await app.register(autoload, { dir: join(dir, 'routes') })
    },
    async check (t, server) {
      t.equal(server.app.hasRoute({ method: 'GET', url: '/rooms/:id' }), isRoomDeclared)
      if (!isRoomDeclared) return
      const client = await connect(t, server.url('/rooms/1'))
      t.equal(await client.next(), 'room 1')
    }
  },
  '@fastify/swagger': {
    add: (app) => app.register(swagger, { openapi: { info: { title: 'test', version: '1' } } }),
    routes: (app) => app.get('/both', { ...echo, handler: () => 'page' }),
    async check (t, server) {
      t.same(Object.keys((server.app.swagger() as { paths: object }).paths), ['/both'])
    }
  },
  '@fastify/otel': {
    add (app) {
      const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] })
      const instrumentation = new FastifyOtelInstrumentation()
      instrumentation.setTracerProvider(provider)
      return app.register(instrumentation.plugin() as never)
    },
    async check (t, server) {
      spans.reset()
      const signal = AbortSignal.timeout(20_000)
      t.equal((await fetch(server.http('/ws'), { signal })).status, 426)
      await ask(t, server.url('/ws'), 'hi')
      const ended = (): number =>
        spans.getFinishedSpans().filter(({ name }) => name === 'request').length
      await until(() => ended() === 2, 'the span of a request does not end')
    }
  },
  'fastify-metrics': {
    add: (app) =>
      app.register(metrics, { defaultMetrics: { enabled: false }, clearRegisterOnInit: true }),
    async check (t, server) {
      await ask(t, server.url('/ws'), 'hi')
      t.equal((await fetch(server.http('/ws'))).status, 426)
      const text = await (await fetch(server.http('/metrics'))).text()
      t.match(text, /http_request_duration_seconds_count\{[^}]*route="\/ws"[^}]*status_code="426"/)
    }
  }
}

/** Adds `by` visits to a session. Returns the number of its visits. */
function count (request: FastifyRequest, by = 1): number {
  const visits = (request.session.get('visits' as never) as number | undefined ?? 0) + by
  request.session.set('visits' as never, visits as never)
  return visits
}

async function start (
  t: Test,
  list: readonly Neighbour[],
  order: (typeof ORDERS)[number]
): Promise<Server> {
  const { app } = buildApp(t)
  if (order === 'after this plugin') await app.register(websock, { checkOrigin: [ORIGIN] })
  for (const { add } of list) await add(app, t)
  if (order === 'before this plugin') await app.register(websock, { checkOrigin: [ORIGIN] })
  for (const { routes } of list) routes?.(app)
  app.get('/ws', { ...echo })
  return listen(app)
}

for (const [name, neighbour] of Object.entries(neighbours)) {
  for (const order of ORDERS) {
    void t.test(`${name}, registered ${order}`, async (t) => {
      const server = await start(t, [neighbour], order)
      t.equal(await ask(t, server.url('/ws'), 'hi'), 'echo hi')
      await neighbour.check(t, server)
      await server.app.close()
    })
  }
}
