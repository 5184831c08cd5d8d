import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import {
  defineWebsocketRoute,
  typed,
  withTypeProvider,
  type WebsocketHandler
} from '../../src/index.ts'
import { ask, connect, refused } from '../helpers/client.ts'
import { connectRaw } from '../helpers/raw.ts'
import { startServer, type App } from '../helpers/server.ts'

/** A route as in JavaScript, without type checks. */
type UntypedRoute = Record<string, unknown>

const echo: { websocketHandler: WebsocketHandler } = {
  websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
}
const plain = (): string => 'plain'

void t.test('a route works with every form of declaration', async (t) => {
  const late: FastifyPluginAsync = async (app) => {
    await app.register(
      async (inner) => {
        inner.route({ method: 'GET', url: '/inner', ...echo })
      },
      { prefix: '/more' }
    )
  }
  const server = await startServer(t, async (app) => {
    app.get('/get', { ...echo })
    app.route({ method: 'GET', url: '/route', ...echo })
    ;(app as FastifyInstance).route({ method: 'get', url: '/lower', ...echo })
    ;(app as unknown as { route: (route: UntypedRoute) => unknown }).route({
      method: ['GET'],
      path: '/path-and-list',
      ...echo
    })
    ;(app as unknown as { route: (route: UntypedRoute) => unknown }).route({
      method: ['GET', 'HEAD'],
      url: '/list',
      ...echo
    })
    app.get('/:wild/*', { ...echo })
    app.get('/chain/1', { ...echo }).get('/chain/2', { ...echo })
    await app.register(late, { prefix: '/late' })
  })
  for (const path of [
    '/get',
    '/route',
    '/lower',
    '/path-and-list',
    '/list',
    '/any/where',
    '/chain/2',
    '/late/more/inner'
  ]) {
    t.equal(await ask(t, server.url(path), 'hi'), 'hi', path)
    const answer = await fetch(server.http(path))
    t.match(
      [answer.status, answer.headers.get('upgrade'), await answer.json()],
      [426, 'websocket', { code: 'FST_WEBSOCK_UPGRADE_REQUIRED' }],
      path
    )
  }
  t.equal((await fetch(server.http('/list'), { method: 'HEAD' })).status, 426)
})

void t.test('prefixTrailingSlash applies', async (t) => {
  const expected = { both: ['', '/'], slash: ['/'], 'no-slash': [''] } as const
  const server = await startServer(t, async (app) => {
    for (const prefixTrailingSlash of ['both', 'slash', 'no-slash'] as const) {
      await app.register(
        async (child) => {
          child.get('/', { prefixTrailingSlash, ...echo })
        },
        { prefix: `/${prefixTrailingSlash}` }
      )
    }
  })
  for (const [name, endings] of Object.entries(expected)) {
    for (const ending of ['', '/']) {
      const url = server.url(`/${name}${ending}`)
      if ((endings as readonly string[]).includes(ending)) {
        t.equal(await ask(t, url, 'hi'), 'hi', url)
      } else t.equal((await refused(url)).status, 404, url)
    }
  }
})

void t.test('constraints distinguish websocket routes', async (t) => {
  const name = (word: string): { websocketHandler: WebsocketHandler } => ({
    websocketHandler: { handleIn: (_message, _state, ws) => ws.push(word) }
  })
  const server = await startServer(t, (app) => {
    app.get('/host', { constraints: { host: 'a.example' }, ...name('a') })
    app.get('/host', { constraints: { host: 'b.example' }, ...name('b') })
    app.get('/version', { constraints: { version: '1.2.0' }, ...name('1.2') })
    app.get('/version', { constraints: { version: '2.0.0' }, ...name('2.0') })
  })
  t.equal(await ask(t, server.url('/host'), 'hi', { headers: { host: 'a.example' } }), 'a')
  t.equal(await ask(t, server.url('/host'), 'hi', { headers: { host: 'b.example' } }), 'b')
  t.equal((await refused(server.url('/host'), { headers: { host: 'c.example' } })).status, 404)
  t.equal(
    await ask(t, server.url('/version'), 'hi', { headers: { 'accept-version': '1.x' } }),
    '1.2'
  )
  t.equal(
    await ask(t, server.url('/version'), 'hi', { headers: { 'accept-version': '2.x' } }),
    '2.0'
  )
  t.equal(
    (await refused(server.url('/version'), { headers: { 'accept-version': '3.x' } })).status,
    404
  )
})

void t.test('a class instance can be a handler, with its methods and its `this`', async (t) => {
  class Base {
    readonly #word = 'from the class'
    handleIn (_message: unknown, _state: unknown, ws: { push: (message: string) => never }): never {
      return ws.push(this.#word)
    }
  }
  class Handler extends Base {
    readonly ends: string[] = []
    readonly on = { event: { say: () => undefined } }
    init (_args: unknown, ws: { ok: (state: number) => never }): never {
      return ws.ok(this.ends.length)
    }

    terminate (reason: { type: string }, state: unknown): void {
      this.ends.push(`${reason.type} ${String(state)}`)
    }
  }
  const handler = new Handler()
  const server = await startServer(t, (app) => {
    app.get('/class', {
      schema: { websocket: { receive: typed<unknown>() } },
      websocketHandler: handler as never
    })
  })
  t.equal(await ask(t, server.url('/class'), '"hi"'), 'from the class')
  const client = await connect(t, server.url('/class'))
  client.close(1000)
  await client.closed
  await server.app.close()
  t.same(handler.ends, ['remote 0', 'shutdown 0'])
})

void t.test(
  'HEAD of a websocket route is answered like GET, when Fastify exposes it',
  async (t) => {
    const routes = (app: App): void => {
      app.get('/bare', { ...echo })
      app.get('/beside', { ...echo, handler: plain })
      app.get('/behind', {
        ...echo,
        handler: (request, reply) => {
          void reply.header('x-method', request.method).send('plain')
        }
      })
      app.get('/hidden', { ...echo, exposeHeadRoute: false })
      app.get('/shown', { ...echo, exposeHeadRoute: true })
    }
    const head = async (url: string): Promise<Array<number | string | null>> => {
      const { status, headers } = await fetch(url, { method: 'HEAD' })
      return [status, headers.get('upgrade'), headers.get('x-method')]
    }
    const exposing = await startServer(t, routes)
    t.same(await head(exposing.http('/bare')), [426, 'websocket', null])
    t.same(await head(exposing.http('/beside')), [200, null, null])
    t.same(await head(exposing.http('/behind')), [200, null, 'HEAD'])
    t.same(await head(exposing.http('/hidden')), [404, null, null])
    const hiding = await startServer(t, routes, {
      fastify: { routerOptions: {}, exposeHeadRoutes: false }
    })
    t.same(await head(hiding.http('/bare')), [404, null, null])
    t.same(await head(hiding.http('/shown')), [426, 'websocket', null])
    t.equal(await ask(t, hiding.url('/bare'), 'hi'), 'hi')
    t.equal(await ask(t, exposing.url('/hidden'), 'hi'), 'hi')
  }
)

void t.test(
  'a `handler` answers plain GETs, as a member and as the last argument',
  async (t) => {
    const server = await startServer(t, (app) => {
      app.decorate('word', 'instance')
      app.get('/member', {
        ...echo,
        handler (this: FastifyInstance & { word?: string }) {
          return this.word
        }
      } as never)
      ;(app as FastifyInstance).get(
        '/argument',
        { ...echo } as object,
        async function (this: FastifyInstance & { word?: string }) {
          return this.word
        }
      )
    })
    for (const path of ['/member', '/argument']) {
      t.equal(await (await fetch(server.http(path))).text(), 'instance', path)
      t.equal(await ask(t, server.url(path), 'hi'), 'hi', path)
    }
  }
)

void t.test('the same options object can declare two routes', async (t) => {
  const options = {
    ...echo,
    schema: { websocket: { receive: typed<string>(), send: typed<string>() } }
  } as const
  const route = Object.freeze({
    ...options,
    websocketHandler: Object.freeze({
      handleIn: (message: unknown, _state: unknown, ws: { push: (message: unknown) => never }) =>
        ws.push(message)
    })
  })
  const server = await startServer(t, (app) => {
    app.get('/one', route as never)
    app.get('/two', route as never)
  })
  for (const path of ['/one', '/two']) {
    const client = await connect(t, server.url(path))
    client.send('"hi"')
    t.equal(await client.nextJson(), 'hi', path)
  }
  t.same(Object.keys(route).sort(), ['schema', 'websocketHandler'], 'the options are not changed')
})

void t.test('plain routes are unchanged', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/plain', plain)
    app.post('/plain', async (request) => request.body)
    app.get('/slow', { handlerTimeout: 30 }, async (request) => {
      await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
    })
    app.get('/ws', { ...echo })
  })
  const client = await connectRaw(t, server.port)
  for (const [at, path] of ['/plain', '/nothing', '/plain'].entries()) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await client.until(
      ({ text }) =>
        text.split('HTTP/1.1 ').length === at + 2 && /(plain|"statusCode":404})$/.test(text)
    )
  }
  t.same(
    [...client.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['200', '404', '200'],
    'over one connection'
  )
  const head = await fetch(server.http('/plain'), { method: 'HEAD' })
  t.same(
    [head.status, head.headers.get('content-length'), head.headers.get('upgrade')],
    [200, '5', null]
  )
  const post = await fetch(server.http('/plain'), {
    method: 'POST',
    body: '{"a":1}',
    headers: { 'content-type': 'application/json' }
  })
  t.same(await post.json(), { a: 1 })
  t.equal((await fetch(server.http('/slow'))).status, 503, 'handlerTimeout')
  t.equal(
    (await refused(server.url('/plain'))).status,
    200,
    'an upgrade of a plain route is answered as HTTP'
  )
  t.equal((await refused(server.url('/nothing'))).status, 404)
})

void t.test('a route of module level works with get and with route', async (t) => {
  const echo = withTypeProvider<TypeBoxTypeProvider>().defineWebsocketRoute({
    schema: { websocket: { receive: Type.String(), send: Type.String() } },
    websocketHandler: { handleIn: (message, _state, { push }) => push([message, message]) }
  })
  const raw = defineWebsocketRoute({
    websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
  })
  const server = await startServer(t, (app) => {
    app.get('/get', echo)
    app.route({ method: 'GET', url: '/route', ...raw })
  })
  const got = await connect(t, server.url('/get'))
  got.send('"x"')
  t.same([await got.next(), await got.next()], ['"x"', '"x"'])
  const routed = await connect(t, server.url('/route'))
  routed.send('as it is')
  t.equal(await routed.next(), 'as it is')
})
