// Imported first, because this instance must be older than the library.
import { earlyInstance } from '../helpers/early-instance.ts'
import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import fastifyWebsocket from '@fastify/websocket'
import t from 'tap'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { ask } from '../helpers/client.ts'
import { buildApp, listen, startServer, type App } from '../helpers/server.ts'

/** A route as in JavaScript, without type checks. */
type UntypedRoute = Record<string, unknown>

const echo: { websocketHandler: WebsocketHandler } = {
  websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
}
const plain = (): string => 'plain'

void t.test('a second registration is refused at start', async (t) => {
  const cases: Record<string, (app: App) => Promise<unknown>> = {
    'on the same instance': async (app) => {
      await app.register(websock)
    },
    'in a child': async (app) => {
      await app.register(async (child) => {
        await child.register(websock)
      })
    }
  }
  for (const [name, again] of Object.entries(cases)) {
    const { app } = buildApp(t)
    await app.register(websock)
    await t.rejects(
      again(app),
      { code: 'FST_WEBSOCK_ALREADY_REGISTERED', statusCode: 500, message: /register it once/ },
      name
    )
  }
  const { app } = buildApp(t)
  await app.register(async (child) => { await child.register(websock) })
  await t.rejects(
    async () => {
      await app.register(async (sibling) => {
        await sibling.register(websock)
      })
    },
    { code: 'FST_WEBSOCK_ALREADY_REGISTERED' },
    'in a sibling'
  )
})

void t.test('two servers in one process can each have the plugin', async (t) => {
  const first = await startServer(t, (app) => { app.get('/', echo) })
  const second = await startServer(t, (app) => { app.get('/', echo) })
  t.equal(await ask(t, first.url('/'), 'hi'), 'hi')
  t.equal(await ask(t, second.url('/'), 'hi'), 'hi')
})

void t.test('@fastify/websocket registered by the application is refused at start', async (t) => {
  const theirs = async (app: FastifyInstance): Promise<void> => {
    await app.register(fastifyWebsocket)
  }
  const ours = async (app: FastifyInstance): Promise<void> => { await app.register(websock) }
  const cases: Record<string, (app: App) => unknown> = {
    'before this plugin': async (app) => {
      await app.register(fastifyWebsocket)
      await app.register(websock)
    },
    'after this plugin': async (app) => {
      await app.register(websock)
      await app.register(fastifyWebsocket)
    },
    'after this plugin, as a module': async (app) => {
      await app.register(websock)
      await app.register({ default: fastifyWebsocket } as never)
    },
    'after this plugin, in a child': async (app) => {
      await app.register(websock)
      await app.register(theirs)
    },
    'before this plugin, in a sibling': async (app) => {
      await app.register(theirs)
      await app.register(ours)
    },
    'after this plugin, in a sibling': (app) => app.register(ours).register(theirs).ready(),
    'in a child, before this plugin': async (app) => {
      await app.register(theirs)
      await app.register(websock)
    }
  }
  for (const [name, start] of Object.entries(cases)) {
    const { app } = buildApp(t)
    await t.rejects(
      async () => {
        await start(app)
      },
      {
        code: 'FST_WEBSOCK_FOREIGN_PLUGIN',
        statusCode: 500,
        message: /register fastify-websock before it/
      },
      name
    )
  }
})

void t.test('an invalid route is refused where it is declared', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  const method = { code: 'FST_WEBSOCK_ROUTE_METHOD', message: /must be GET/ }
  const conflict = { code: 'FST_WEBSOCK_ROUTE_CONFLICT', message: /keep one of them/ }
  const cases: Array<
    [
      name: string,
      declare: (app: Record<string, (...args: unknown[]) => unknown>) => unknown,
      error: { code: string, message: RegExp }
    ]
  > = [
    ['its method is POST', (app) => app['post']?.('/1', { ...echo }), method],
    [
      'its method is POST, and it has a handler',
      (app) => app['post']?.('/1', { ...echo, handler: plain }),
      method
    ],
    [
      'its method is POST, and a handler follows',
      (app) => app['post']?.('/1', { ...echo }, plain),
      method
    ],
    ['its method is HEAD', (app) => app['head']?.('/1', { ...echo }), method],
    ['it is for all methods', (app) => app['all']?.('/1', { ...echo }), method],
    [
      'its method is PUT in lower case',
      (app) => app['route']?.({ method: 'put', url: '/1', ...echo }),
      method
    ],
    [
      'its methods are GET and POST',
      (app) => app['route']?.({ method: ['GET', 'POST'], url: '/1', ...echo }),
      method
    ],
    [
      'its methods are HEAD only',
      (app) => app['route']?.({ method: ['HEAD'], url: '/1', ...echo }),
      method
    ],
    ['it has no method', (app) => app['route']?.({ url: '/1', ...echo }), method],
    ['its methods are empty', (app) => app['route']?.({ method: [], url: '/1', ...echo }), method],
    [
      'it has `websocket: true`',
      (app) => app['get']?.('/1', { ...echo, websocket: true }),
      conflict
    ],
    [
      'it has `websocket: true` and a handler',
      (app) => app['get']?.('/1', { ...echo, websocket: true }, plain),
      conflict
    ],
    [
      'it has a wsHandler too',
      (app) => app['get']?.('/1', { ...echo, wsHandler: plain, handler: plain }),
      conflict
    ],
    [
      'its method was added by addHttpMethod',
      (app) => app['purge']?.('/1', { ...echo, handler: plain }),
      method
    ]
  ]
  app.addHttpMethod('PURGE')
  for (const [name, declare, error] of cases) {
    t.throws(() => declare(app as never), { ...error, statusCode: 500 }, name)
  }
  t.notOk(app.hasRoute({ method: 'GET', url: '/1' }), 'the route is not declared')
})

void t.test('a handler of the wrong shape is refused, and the error names its route', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  const cases: Array<[handler: unknown, message: string]> = [
    [null, '`websocketHandler` must be an object'],
    [() => {}, '`websocketHandler` must be an object'],
    ['echo', '`websocketHandler` must be an object'],
    [false, '`websocketHandler` must be an object'],
    [{ handleIn: 1 }, '`websocketHandler.handleIn` must be a function'],
    [{ init: null }, '`websocketHandler.init` must be a function'],
    [{ handleInfo: {} }, '`websocketHandler.handleInfo` must be a function'],
    [{ handleControl: 'x' }, '`websocketHandler.handleControl` must be a function'],
    [{ handleInvalid: [] }, '`websocketHandler.handleInvalid` must be a function'],
    [{ terminate: true }, '`websocketHandler.terminate` must be a function'],
    [{ on: () => {} }, '`websocketHandler.on` must be an object'],
    [{ on: { event: null } }, '`websocketHandler.on.event` must be an object'],
    [{ on: { event: { say: 1 } } }, '`websocketHandler.on.event.say` must be a function']
  ]
  for (const [websocketHandler, message] of cases) {
    const route: UntypedRoute = { method: 'GET', url: '/x', websocketHandler }
    t.throws(
      () => app.route(route as unknown as RouteOptions),
      { code: 'FST_WEBSOCK_INVALID_HANDLER', message: `Route GET:/x: ${message}` },
      message
    )
  }
})

void t.test(
  'a route with a websocketHandler before the plugin has loaded is refused at once',
  async (t) => {
    const error = {
      code: 'FST_WEBSOCK_NOT_REGISTERED',
      statusCode: 500,
      message: /GET:\/early.*await app\.register\(websock\)/
    }
    const cases: Record<string, (app: App) => unknown> = {
      'by get': (app) => app.get('/early', { ...echo }),
      'by get, with a handler as option': (app) => app.get('/early', { ...echo, handler: plain }),
      'by get, with a handler as last argument': (app) =>
        (app as FastifyInstance).get('/early', { ...echo } as object, plain),
      'by route': (app) => app.route({ method: 'GET', url: '/early', ...echo }),
      'by route, with a handler': (app) =>
        app.route({ method: 'GET', url: '/early', ...echo, handler: plain })
    }
    for (const [name, declare] of Object.entries(cases)) {
      const { app: never } = buildApp(t)
      t.throws(() => declare(never), error, `${name}, without register`)
      const { app: notYet } = buildApp(t)
      void notYet.register(websock)
      t.throws(() => declare(notYet), error, `${name}, register without await`)
      await notYet.ready()
    }
  }
)

void t.test('a route inside a plugin that is registered next needs no await', async (t) => {
  const { app } = buildApp(t)
  void app.register(websock)
  void app.register(async (child) => { child.get('/next', { ...echo }) })
  void app.after(() => { app.get('/after', { ...echo }) })
  const server = await listen(app)
  t.equal(await ask(t, server.url('/next'), 'hi'), 'hi')
  t.equal(await ask(t, server.url('/after'), 'hi'), 'hi')
})

void t.test('a route outside the context of the plugin is refused', async (t) => {
  const { app } = buildApp(t)
  await app.register(async (child) => {
    await child.register(websock)
    child.get('/inside', { ...echo })
  })
  t.throws(() => app.get('/outside', { ...echo }), { code: 'FST_WEBSOCK_NOT_REGISTERED' })
  const server = await listen(app)
  t.equal(await ask(t, server.url('/inside'), 'hi'), 'hi')
})

void t.test('an instance without the plugin behaves like Fastify', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/a', plain)
  app.route({ method: ['GET', 'POST'], url: '/b', handler: plain })
  app.all('/c', {}, plain)
  app.get('/undefined', { websocketHandler: undefined, handler: plain } as never)
  t.throws(() => app.get('/d', {} as never), { code: 'FST_ERR_ROUTE_MISSING_HANDLER' })
  t.throws(() => app.route(undefined as never), { code: 'FST_ERR_ROUTE_MISSING_HANDLER' })
  t.throws(() => app.get(1 as never, plain), { code: 'FST_ERR_INVALID_URL' })
  t.throws(() => app.get('/e', null as never, plain), { code: 'FST_ERR_ROUTE_OPTIONS_NOT_OBJ' })
  for (const [method, url] of [
    ['GET', '/a'],
    ['POST', '/b'],
    ['DELETE', '/c'],
    ['GET', '/undefined']
  ] as const) {
    t.equal((await app.inject({ method, url })).body, 'plain', url)
  }
})

void t.test('an instance that is older than the library can register it', async (t) => {
  t.teardown(() => earlyInstance.close())
  earlyInstance.get('/plain', plain)
  await earlyInstance.register(websock)
  earlyInstance.get('/ws', { ...echo })
  t.throws(() => earlyInstance.post('/ws', { ...echo } as never), {
    code: 'FST_WEBSOCK_ROUTE_METHOD'
  })
  const server = await listen(earlyInstance as unknown as App)
  t.equal(await ask(t, server.url('/ws'), 'hi'), 'hi')
  t.equal((await fetch(server.http('/ws'))).status, 426)
  t.equal((await fetch(server.http('/plain'))).status, 200)
})

void t.test('routes work beside a second copy of the library in the process', async (t) => {
  // Like a test runner that reloads modules, or a dependency with another version of this package.
  const name = require.resolve('../../src/plugin/route-methods.ts')
  const loaded = require.cache[name]
  Reflect.deleteProperty(require.cache, name)
  t.teardown(() => { require.cache[name] = loaded })
  t.not(require('../../src/plugin/route-methods.ts'), loaded?.exports)
  const server = await startServer(t, (app) => { app.get('/ws', { ...echo }) })
  t.equal(await ask(t, server.url('/ws'), 'hi'), 'hi')
  t.equal((await fetch(server.http('/ws'))).status, 426)
})
