import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import websock, { typed } from '../../src/index.ts'
import { buildDocument } from '../../src/asyncapi/document.ts'
import { describe, diagnose } from '../helpers/asyncapi.ts'
import { buildApp, type App } from '../helpers/server.ts'
import { asyncapi } from '../../src/asyncapi/index.ts'

const load = createRequire(__filename)
const EXAMPLE = join(__dirname, '../../example/dist')

const Say = Type.Object(
  { event: Type.Literal('say'), text: Type.String() },
  { title: 'Say it', examples: [{ event: 'say', text: 'hi' }] }
)
const Leave = Type.Object({ event: Type.Literal('leave') }, { description: 'Go.' })
const Said = Type.Object({ event: Type.Literal('said'), text: Type.String() })

async function exampleRoutes (app: App): Promise<void> {
  await app.register(load(join(EXAMPLE, 'connection-timer/connection-timer.js')).connectionTimer)
  await app.register(load(join(EXAMPLE, 'chat.js')).chat)
  await app.register(load(join(EXAMPLE, 'echo.js')).echo)
  await app.register(load(join(EXAMPLE, 'stream.js')).stream)
  await app.register(load(join(EXAMPLE, 'gossip/gossip.js')).gossip, { games: [] })
}

void t.test(
  "every route of the example is described without a diagnostic of AsyncAPI's parser",
  async (t) => {
    const { app, document } = await describe(t, exampleRoutes)
    t.same(
      Object.values(document.channels)
        .map(({ address }) => address)
        .sort(),
      [
        '/socket',
        '/ws/chat/{room}',
        '/ws/connection_timer/{name}',
        '/ws/echo',
        '/ws/gossip',
        '/ws/stream'
      ]
    )
    t.same(await diagnose(document), [])
    t.same(await diagnose(app.asyncapi({ yaml: true })), [], 'the same as YAML')
    t.ok('ws.gossip.send' in document.operations)
    t.notOk(
      'ws.gossip.receive' in document.operations,
      'a route without handleIn has no receive operation'
    )
    const gossip = document.channels['socket']!
    t.ok(Object.keys(gossip.messages).length > 30)
    t.match(gossip.messages['receive.tells.send'], {
      name: 'tells/send',
      title: 'Tell a player of another game something'
    })
  }
)

void t.test('the document of the example is built in under 10 ms', async (t) => {
  const { app } = buildApp(t)
  const routes: any[] = []
  app.addHook('onRoute', function (route) {
    if (route.websocketHandler !== undefined) routes.push({ instance: this, route })
  })
  await app.register(websock)
  await exampleRoutes(app)
  await app.ready()
  const times = Array.from({ length: 20 }, () => {
    // CPU time of this process, which does not depend on other load.
    const before = process.cpuUsage()
    buildDocument(routes, {})
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
  const best = Math.min(...times)
  t.comment(`first ${times[0]?.toFixed(1)} ms, best ${best.toFixed(1)} ms`)
  t.ok(best < 10, `${best} ms`)
})

void t.test('a route has its address, handshake, messages, security and texts', async (t) => {
  const { document } = await describe(
    t,
    (app) =>
      app.register(
        async (child) => {
          child.get('/rooms/:room', {
            schema: {
              summary: 'A room',
              description: 'Talk.',
              tags: ['chat'],
              security: [{ session: [] }, { oauth: ['talk'] }],
              params: Type.Object({
                room: Type.String({ minLength: 1, description: 'its name', examples: ['lobby'] })
              }),
              querystring: Type.Object({
                since: Type.Optional(Type.Integer()),
                limit: Type.Integer({ default: 5 }),
                nick: Type.String()
              }),
              headers: Type.Object({ 'x-version': Type.String() }),
              websocket: {
                receive: Type.Union([Say, Leave]),
                send: Said,
                info: Type.Object({ secret: Type.String() })
              }
            },
            websocketOptions: { subprotocols: ['chat.2', 'chat.1'], requireSubprotocol: true },
            websocketHandler: { handleIn () {} }
          })
        },
        { prefix: '/v1' }
      ),
    {
      info: { title: 'Rooms', version: '2.0.0' },
      tags: [{ name: 'chat', description: 'All that talks' }],
      servers: { production: { host: 'example.com', protocol: 'wss' } },
      securitySchemes: {
        session: { type: 'httpApiKey', in: 'cookie', name: 'sid' },
        oauth: {
          type: 'oauth2',
          flows: {
            clientCredentials: {
              tokenUrl: 'https://example.com/token',
              availableScopes: { talk: 'to talk' }
            }
          }
        }
      }
    }
  )
  t.same(await diagnose(document), [])
  t.match(document, {
    asyncapi: '3.1.0',
    info: { title: 'Rooms', version: '2.0.0', tags: [{ name: 'chat' }] }
  })
  const channel = document.channels['v1.rooms.room']!
  t.match(channel, {
    address: '/v1/rooms/{room}',
    title: 'A room',
    description: 'Talk.',
    tags: [{ name: 'chat', description: 'All that talks' }],
    parameters: {
      room: {
        description: 'its name',
        examples: ['lobby'],
        'x-schema': { type: 'string', minLength: 1 }
      }
    }
  })
  const { query, headers } = channel.bindings.ws
  t.same(query?.['required'], ['nick'], 'a property with a default is not required')
  t.same(headers?.['required'], ['x-version', 'sec-websocket-protocol'])
  t.match(headers, { properties: { 'sec-websocket-protocol': { examples: ['chat.2', 'chat.1'] } } })
  t.same(
    Object.keys(channel.messages),
    ['receive.say', 'receive.leave', 'send.said'],
    'infos are not described'
  )
  t.match(channel.messages['receive.say'], {
    name: 'say',
    title: 'Say it',
    contentType: 'application/json',
    examples: [{ payload: { event: 'say', text: 'hi' } }]
  })
  t.match(channel.messages['receive.leave'], { description: 'Go.' })
  t.same(
    document.operations['v1.rooms.room.receive']?.messages.map(({ $ref }) => $ref),
    [
      '#/channels/v1.rooms.room/messages/receive.say',
      '#/channels/v1.rooms.room/messages/receive.leave'
    ]
  )
  t.same(document.operations['v1.rooms.room.send']?.action, 'send')
  t.match(document.operations['v1.rooms.room.send']?.security, [
    { $ref: '#/components/securitySchemes/session' },
    { type: 'oauth2', scopes: ['talk'] }
  ])
  t.notMatch(JSON.stringify(document), 'secret')
})

void t.test('raw, typed and binary messages are described', async (t) => {
  const codec = {
    opcode: 'binary' as const,
    contentType: 'application/msgpack',
    decode: () => ({}),
    encode: () => new Uint8Array()
  }
  const { document } = await describe(t, (app) => {
    app.get('/raw', { websocketHandler: { handleIn () {} } })
    app.get('/silent', { websocketHandler: {} })
    app.get('/typed', {
      schema: { deprecated: true, websocket: { receive: typed<string>(), send: typed<string>() } },
      websocketHandler: { handleIn () {} }
    })
    app.get('/packed', {
      schema: { websocket: { receive: Say, send: Said } },
      websocketOptions: { codec },
      websocketHandler: { handleIn () {} }
    })
    app.get('/plain', { schema: { hide: true }, websocketHandler: {} })
    app.get('/http', () => ({}))
  })
  t.same(await diagnose(document), [])
  t.same(Object.keys(document.channels), ['raw', 'silent', 'typed', 'packed'])
  t.same(Object.keys(document.channels['raw']!.messages), [
    'receive.text',
    'receive.binary',
    'send.text',
    'send.binary'
  ])
  t.same(
    Object.keys(document.operations).filter((key) => key.startsWith('silent')),
    ['silent.send'],
    'a route without handleIn has no receive operation'
  )
  t.match(document.channels['typed']!.messages['receive.message'], {
    payload: {},
    deprecated: true,
    contentType: 'application/json'
  })
  t.match(document.channels['packed']!.messages['receive.say'], {
    contentType: 'application/msgpack',
    'x-opcode': 'binary'
  })
})

void t.test('transform and hide change the document', async (t) => {
  const { document } = await describe(
    t,
    (app) => {
      for (const url of ['/a', '/b', '/c']) {
        app.get(url, {
          schema: { websocket: { receive: Say } },
          websocketHandler: { handleIn () {} }
        })
      }
    },
    {
      hide: ({ url }) => url === '/a',
      transform: ({ schema, url }) =>
        url === '/b'
          ? { schema: { ...schema, hide: true }, url }
          : { schema: { ...schema, summary: 'See' }, url: `/public${url}` }
    }
  )
  t.same(
    Object.values(document.channels).map(({ address, title }) => [address, title]),
    [['/public/c', 'See']]
  )
})

void t.test('details for which AsyncAPI has no field are in texts and extensions', async (t) => {
  const { document } = await describe(
    t,
    (app) => {
      app.get('/', {
        schema: { security: [{ a: [], b: [] }] },
        constraints: { host: 'one.example.com' },
        websocketHandler: {}
      })
      app.get('/', { constraints: { host: /^two\./ }, websocketHandler: {} } as never)
      app.get('/', { constraints: { version: '1.2.0' }, websocketHandler: {} })
      app.get('/files/:dir/*', { websocketHandler: {} })
      app.get('/at/:hour(^\\d{2})h:minute(^\\d{2})m/:from-:to', { websocketHandler: {} })
      app.get('/a::b/:odd$name', { websocketHandler: {} })
    },
    {
      securitySchemes: {
        a: { type: 'httpApiKey', in: 'query', name: 'a' },
        b: { type: 'http', scheme: 'basic' }
      }
    }
  )
  t.same(await diagnose(document), [])
  const channels = Object.values(document.channels)
  t.same(
    channels.map(({ address }) => address),
    [
      '/',
      '/',
      '/',
      '/files/{dir}/{wildcard}',
      '/at/{hour}h{minute}m/{from}-{to}',
      '/a:b/{odd_name}'
    ]
  )
  t.match(document.operations['root.send']?.description, 'Needed together: a and b.')
  t.same(channels[0]?.servers, [{ $ref: '#/servers/one.example.com' }])
  t.match(channels[1]?.description, 'Only for hosts that match /^two\\./.')
  t.same(channels[2]?.bindings.ws.headers?.['required'], ['accept-version'])
  t.match(channels[3]?.parameters?.['wildcard'], { 'x-wildcard': true })
  t.match(channels[4]?.parameters?.['hour'], { description: 'Matches ^\\d{2}' })
})

void t.test(
  'a document that is read before the app is ready has the routes so far',
  async (t) => {
    const { app } = buildApp(t)
    await app.register(websock)
    await app.register(asyncapi)
    app.get('/one', { websocketHandler: {} })
    t.same(Object.keys(app.asyncapi().channels), ['one'])
    app.get('/two', { websocketHandler: {} })
    await app.ready()
    t.same(Object.keys(app.asyncapi().channels), ['one', 'two'])
  }
)

void t.test('routes before and after the plugin are described, others not', async (t) => {
  const { app } = buildApp(t)
  await app.register(async (parent) => {
    await parent.register(websock)
    parent.get('/earlier', { websocketHandler: {} })
    await parent.register(async (child) => {
      child.get('/earlier/below', { websocketHandler: {} })
    })
    await parent.register(asyncapi)
    parent.get('/later', { websocketHandler: {} })
    await parent.register(async (child) => {
      await child.register(asyncapi)
      child.get('/inner', { websocketHandler: {} })
      child.addHook('onReady', async () => {
        t.same(Object.keys(child.asyncapi().channels), ['inner'])
      })
    })
    parent.addHook('onReady', async () => {
      t.same(Object.keys(parent.asyncapi().channels), [
        'earlier',
        'earlier.below',
        'later',
        'inner'
      ])
    })
  })
  t.plan(2)
  await app.ready()
})

void t.test('mistakes are errors at start', async (t) => {
  const cases: Array<
    [routes: (app: App) => void, options: any, error: { code: string, message: RegExp }]
  > = [
    [() => {}, { tittle: 1 }, { code: 'FST_WEBSOCK_UNKNOWN_OPTION', message: /tittle/ }],
    [
      () => {},
      { servers: { a: 'wss://example.com' } },
      { code: 'FST_WEBSOCK_INVALID_OPTION', message: /servers/ }
    ],
    [
      () => {},
      { routePrefix: 'docs' },
      { code: 'FST_WEBSOCK_INVALID_OPTION', message: /routePrefix/ }
    ],
    [
      () => {},
      { refResolver: {} },
      { code: 'FST_WEBSOCK_INVALID_OPTION', message: /buildLocalReference/ }
    ],
    [
      (app) => {
        app.get('/', { schema: { security: [{ nobody: [] }] }, websocketHandler: {} })
      },
      {},
      { code: 'FST_WEBSOCK_UNDESCRIBABLE', message: /GET:\/.*nobody.*securitySchemes/ }
    ],
    [
      (app) => {
        app.get('/', {
          schema: { websocket: { receive: { $ref: 'nowhere#' } } },
          validatorCompiler: () => () => true,
          websocketHandler: { handleIn () {} }
        } as never)
      },
      {},
      { code: 'FST_WEBSOCK_UNDESCRIBABLE', message: /nowhere#.*addSchema/ }
    ]
  ]
  for (const [routes, options, error] of cases) {
    await t.rejects(describe(t, routes, options), error, JSON.stringify(options))
  }
})
