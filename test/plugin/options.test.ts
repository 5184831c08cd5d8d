import Fastify from 'fastify'
import t from 'tap'
import websock, {
  type WebsocketHandler,
  type WebsocketOptions,
  type WebsockOptions
} from '../../src/index.ts'
import type { Engine } from '../../src/pubsub/engine.ts'
import { connect } from '../helpers/client.ts'
import { buildApp, startServer, type Teardown } from '../helpers/server.ts'

interface Row {
  /** True for an option of the plugin that a route may not set. */
  readonly pluginOnly?: true
  readonly taken: readonly unknown[]
  readonly refused: readonly unknown[]
  /** The rule in the error text. */
  readonly words: RegExp
}

const MIB = 1024 * 1024
const DAY = 24 * 60 * 60 * 1000
const circle: Record<string, unknown> = {}
circle['self'] = circle

const handler: WebsocketHandler = { handleIn: (message, _state, ws) => ws.push(message) }
const decode = (data: unknown): unknown => data
const encode = (): string => ''
const nothing = async (): Promise<void> => {}
const engine: Engine = {
  name: 'none',
  maxPayloadBytes: 256 * 1024,
  start: nothing,
  subscribe: nothing,
  unsubscribe: nothing,
  publish: nothing,
  stop: nothing
}
const boolean: Row = {
  taken: [true, false],
  refused: [null, 0, 1, '', 'true', [], {}],
  words: /^a boolean$/
}

function integer (min: number, max: number): Row {
  const words = new RegExp(`^an integer from ${min} to ${max}$`)
  return {
    taken: [min, min + 1, max - 1, max],
    refused: [
      min - 1,
      max + 1,
      min + 0.5,
      NaN,
      Infinity,
      -Infinity,
      null,
      true,
      '',
      `${min}`,
      10n,
      [min],
      {},
      circle,
      Symbol('x'),
      () => min
    ],
    words
  }
}

// One row for each option. The first test fails for an option without a row.
const ROWS: { readonly [K in keyof Required<WebsockOptions>]: Row } = {
  checkOrigin: {
    taken: [
      true,
      false,
      () => true,
      async () => false,
      [],
      ['https://example.com'],
      ['//example.com'],
      ['//example.com:888', 'http://localhost:3000'],
      ['//*.example.com', 'https://*.example.com:8443'],
      ['//[::1]:80']
    ],
    refused: [
      null,
      0,
      1,
      '',
      'https://example.com',
      {},
      [1],
      [null],
      [''],
      ['example.com'],
      ['https://'],
      ['https://example.com/'],
      ['https://example.com/path'],
      ['//user@example.com'],
      ['//example.com:port'],
      ['*'],
      ['//*'],
      ['//*.'],
      ['//a.*.example.com'],
      ['//example.com', 'example.org'],
      [['//example.com']]
    ],
    words: /^true, false, a function, or a list of origins such as /
  },
  subprotocols: {
    taken: [[], ['chat'], ['a', "b.c-d_1!#$%&'*+^`|~"]],
    refused: [null, '', 'chat', {}, true, [''], ['a b'], ['a,b'], ['é'], ['a"'], [1], [['a']]],
    words: /^a list of tokens/
  },
  requireSubprotocol: boolean,
  codec: {
    taken: [{ opcode: 'text', decode, encode }, { opcode: 'binary', decode, encode }],
    refused: [
      null,
      true,
      'json',
      {},
      decode,
      { opcode: 'text', decode },
      { opcode: 'text', encode },
      { decode, encode },
      { opcode: 'ping', decode, encode },
      { opcode: 1, decode, encode },
      { opcode: 'text', decode: 'x', encode }
    ],
    words: /^an object with opcode \("text" or "binary"\), decode and encode, .* a contentType$/
  },
  maxMessageBytes: integer(1, 1024 * MIB),
  compress: boolean,
  heartbeatIntervalMs: integer(0, DAY),
  heartbeatTimeoutMs: integer(0, DAY),
  idleTimeoutMs: integer(0, 7 * DAY),
  maxMailboxLength: integer(1, 1_048_576),
  maxMailboxBytes: integer(1, 1024 * MIB),
  maxMailboxInfos: integer(1, 16_777_216),
  infoOverflow: {
    taken: ['close', 'drop'],
    refused: [null, '', 'wait', 'Close', true, ['close']],
    words: /^"close" or "drop"$/
  },
  maxPresenceBytes: integer(1, 8 * MIB),
  maxBufferedBytes: integer(1, 4096 * MIB),
  slowPeer: {
    taken: ['close', 'drop', 'wait'],
    refused: [null, '', 'Drop', true, ['close']],
    words: /^"close", "drop" or "wait"$/
  },
  rateLimit: {
    taken: [
      { messages: 1 },
      { bytes: 4096 * MIB },
      { messages: 16_777_216, bytes: 1, intervalMs: 3_600_000, over: 'wait' },
      { messages: 1, over: 'close' }
    ],
    refused: [
      null,
      0,
      true,
      [],
      {},
      { intervalMs: 1 },
      { over: 'wait' },
      { messages: 0 },
      { messages: 1.5 },
      { messages: 16_777_217 },
      { bytes: 0 },
      { bytes: 4096 * MIB + 1 },
      { messages: 1, intervalMs: 0 },
      { messages: 1, intervalMs: 3_600_001 },
      { messages: 1, over: 'drop' },
      { messages: 1, perSecond: 1 },
      { messages: undefined }
    ],
    words: /^\{ messages, bytes, intervalMs, over \} with /
  },
  initTimeoutMs: integer(1, DAY / 24),
  upgradeTimeoutMs: integer(1, DAY / 24),
  closeTimeoutMs: integer(1, DAY / 24),
  terminateTimeoutMs: integer(1, DAY / 24),
  connectionLogLevel: {
    taken: ['silent', 'trace', 'debug', 'info', 'warn', 'error'],
    refused: [null, '', 'fatal', 'INFO', 30, ['info']],
    words: /^"silent", "trace", "debug", "info", "warn" or "error"$/
  },
  connectionLogFields: {
    taken: [[], ['route', 'code'], ['websocket', 'durationMs', 'error']],
    refused: [null, 'route', ['url'], [''], [1], [['route']]],
    words: /^a list of websocket, route, durationMs, /
  },
  maxConnections: { ...integer(1, 16_777_216), pluginOnly: true },
  engine: {
    pluginOnly: true,
    taken: [engine],
    refused: [
      'redis',
      {},
      null,
      { ...engine, maxPayloadBytes: 256 * 1024 - 1 },
      { ...engine, stop: undefined }
    ],
    words: /an engine/
  },
  maxConnectionsPerKey: {
    pluginOnly: true,
    taken: [1, 16_777_216, { max: 1, key: () => 'a' }],
    refused: [
      0,
      -1,
      1.5,
      NaN,
      16_777_217,
      null,
      true,
      '1',
      [],
      {},
      () => 'a',
      { max: 1 },
      { key: () => 'a' },
      { max: 0, key: () => 'a' },
      { max: '1', key: () => 'a' },
      { max: 1, key: 'ip' }
    ],
    words: /^an integer from 1 to 16777216, or \{ max, key \}$/
  },
  shutdownCode: {
    pluginOnly: true,
    taken: [1000, 1001, 1012, 1013, 3000, 4999],
    refused: [
      999, 1002, 1004, 1005, 1006, 1011, 1015, 2999, 5000, 1012.5, NaN, null, '1012', [1012], {}
    ],
    words: /^1000, 1001, 1012, 1013 or an integer from 3000 to 4999$/
  },
  drain: {
    pluginOnly: true,
    taken: [
      {},
      { batchSize: 1, batchIntervalMs: 0, timeoutMs: 1 },
      { batchSize: 16_777_216, batchIntervalMs: 3_600_000, timeoutMs: DAY }
    ],
    refused: [
      null, true, 30_000, [], { batchSize: 0 }, { batchSize: 1.5 }, { batchIntervalMs: -1 },
      { batchIntervalMs: 3_600_001 }, { timeoutMs: 0 }, { timeoutMs: DAY + 1 }, { timeout: 1 },
      { timeoutMs: '1' }
    ],
    words: /^\{ batchSize, batchIntervalMs, timeoutMs \}: /
  }
}
const names = Object.keys(ROWS) as Array<keyof typeof ROWS>
const routeNames = names.filter((name) => ROWS[name].pluginOnly !== true)

/** Registers the plugin with these options on a new instance. */
async function register (t: Teardown, options: object): Promise<void> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websock, options)
  await app.ready()
}

/** Calls a function that must throw, and returns its error. */
async function failure (
  attempt: () => unknown
): Promise<{ code?: string, message: string, statusCode?: number }> {
  try {
    await attempt()
  } catch (error) {
    return error as Error
  }
  return { message: 'it did not fail' }
}

void t.test('the errors name the unknown option, and all known options', async (t) => {
  const ofPlugin = await failure(() => register(t, { maxMesageBytes: 1 }))
  t.equal(ofPlugin.code, 'FST_WEBSOCK_UNKNOWN_OPTION')
  t.ok(ofPlugin instanceof TypeError)
  const known = /^Unknown option `maxMesageBytes` of fastify-websock\. Known are: (.*)$/.exec(
    ofPlugin.message
  )?.[1]
  t.same(known?.split(', ').sort(), [...names].sort(), 'each has a row above, and no other')

  const { app } = buildApp(t)
  await app.register(websock)
  const route = {
    websocketOptions: { maxMesageBytes: 1 } as WebsocketOptions,
    websocketHandler: handler
  }
  const ofRoute = await failure(() => app.get('/x', route))
  t.equal(ofRoute.code, 'FST_WEBSOCK_UNKNOWN_OPTION')
  const knownToRoutes =
    /^Unknown option `maxMesageBytes` in the websocketOptions of GET:\/x\. Known are: (.*)$/.exec(
      ofRoute.message
    )?.[1]
  t.same(knownToRoutes?.split(', ').sort(), [...routeNames].sort())
})

void t.test('a route that requires a subprotocol must have one', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock, { requireSubprotocol: true })
  const code = 'FST_WEBSOCK_INVALID_OPTION'
  t.throws(() => app.get('/none', { websocketHandler: handler }), {
    code,
    message:
      'Option `requireSubprotocol` of GET:/none ' +
      'must be false when `subprotocols` is empty, got true'
  })
  t.doesNotThrow(() =>
    app.get('/some', { websocketOptions: { subprotocols: ['v1'] }, websocketHandler: handler })
  )
})

void t.test('a property name of every object is not an option', async (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'Prefix', '']) {
    const error = await failure(() => register(t, JSON.parse(`{ "${name}": 1 }`) as object))
    t.match(
      error,
      {
        code: 'FST_WEBSOCK_UNKNOWN_OPTION',
        message: `Unknown option \`${name}\` of fastify-websock`
      },
      name
    )
  }
})

for (const name of names) {
  const { taken, refused, words, pluginOnly } = ROWS[name]

  void t.test(`${name} of the plugin is checked at register`, async (t) => {
    for (const value of taken) {
      await t.resolves(register(t, { [name]: value }), String(JSON.stringify(value)))
    }
    for (const value of refused) {
      const error = await failure(() => register(t, { [name]: value }))
      t.equal(error.code, 'FST_WEBSOCK_INVALID_OPTION', error.message)
      const [, said = ''] =
        /^Option `\w+` of fastify-websock must be (.*), got /.exec(error.message) ?? []
      t.ok(error.message.startsWith(`Option \`${name}\` `), error.message)
      t.match(said, words)
    }
  })

  void t.test(`${name} of a route is ${pluginOnly === true ? 'refused' : 'checked'}`, async (t) => {
    const { app } = buildApp(t, { level: 'silent' })
    await app.register(websock)
    let last = 0
    const others: WebsocketOptions = name === 'requireSubprotocol' ? { subprotocols: ['v1'] } : {}
    const declare = (value: unknown): void => {
      app.get(`/${++last}`, {
        websocketOptions: { ...others, [name]: value },
        websocketHandler: handler
      } as never)
    }
    if (pluginOnly === true) {
      t.throws(() => declare(taken[0]), {
        code: 'FST_WEBSOCK_UNKNOWN_OPTION',
        message: `Unknown option \`${name}\` in the websocketOptions of GET:/1`
      })
      return
    }
    for (const value of taken) t.doesNotThrow(() => declare(value), String(JSON.stringify(value)))
    for (const value of refused) {
      const error = await failure(() => declare(value))
      t.equal(error.code, 'FST_WEBSOCK_INVALID_OPTION', error.message)
      t.ok(
        error.message.startsWith(
          `Option \`${name}\` in the websocketOptions of GET:/${last} must be `
        ),
        error.message
      )
    }
    await app.ready()
  })
}

void t.test('the error shows the given value, but cuts it', async (t) => {
  const cases: Array<[value: unknown, shown: RegExp]> = [
    [10n, /got 10n$/],
    ['7', /got '7'$/],
    [circle, /got <ref \*1> \{ self: \[Circular \*1\] \}$/],
    [NaN, /got NaN$/],
    ['x'.repeat(1000), /got 'x{50,80}$/]
  ]
  for (const [value, shown] of cases) {
    const { message } = await failure(() => register(t, { maxMessageBytes: value }))
    t.match(message, shown)
  }
})

void t.test('websocketOptions that are not an object are refused', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  for (const websocketOptions of [null, true, 5, 'x', [], ['compress'], () => {}]) {
    t.throws(() => app.get('/x', { websocketOptions, websocketHandler: handler } as never), {
      code: 'FST_WEBSOCK_INVALID_OPTION',
      message: /^Option `websocketOptions` of GET:\/x must be an object, got /
    })
  }
  t.notOk(app.hasRoute({ method: 'GET', url: '/x' }))
})

void t.test("Fastify's own options of register are accepted, on the plugin only", async (t) => {
  await t.resolves(register(t, { prefix: '/x', logLevel: 'warn', logSerializers: {} }))
  const { app } = buildApp(t)
  await app.register(websock)
  t.throws(
    () => app.get('/x', { websocketOptions: { prefix: '/x' }, websocketHandler: handler } as never),
    { code: 'FST_WEBSOCK_UNKNOWN_OPTION' }
  )
})

void t.test('the options may be a function, as for every plugin', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => {
    await app.register(websock, () => ({ maxMessageBytes: 0 }))
  }, { code: 'FST_WEBSOCK_INVALID_OPTION' })
})

void t.test('a wrong option leaves no state behind', async (t) => {
  const { app } = buildApp(t)
  await t.rejects(async () => {
    await app.register(websock, { maxMessageBytes: 0 })
  }, { code: 'FST_WEBSOCK_INVALID_OPTION' })
  t.equal(app.server.listenerCount('upgrade'), 0)
  t.notOk(app.hasDecorator('websock'))
})

void t.test("undefined is the default, or for a route the plugin's option", async (t) => {
  for (const name of names) await t.resolves(register(t, { [name]: undefined }), name)
  const byDefault = await startServer(t, (app) => {
    app.get('/', { websocketHandler: handler })
  }, { websock: { maxMessageBytes: undefined } as never })
  const given: Record<string, WebsocketOptions | undefined> = {
    '/none': undefined,
    '/empty': {},
    '/undefined': { maxMessageBytes: undefined } as never,
    '/tighter': { maxMessageBytes: 5 },
    '/looser': { maxMessageBytes: 20 }
  }
  const tight = await startServer(t, (app) => {
    for (const [path, websocketOptions] of Object.entries(given)) {
      app.get(path, { websocketOptions, websocketHandler: handler } as never)
    }
  }, { websock: { maxMessageBytes: 10 } })

  const limits: Array<[url: string, bytes: number]> = [
    [byDefault.url('/'), MIB], [tight.url('/none'), 10], [tight.url('/empty'), 10],
    [tight.url('/undefined'), 10], [tight.url('/tighter'), 5], [tight.url('/looser'), 20]
  ]
  for (const [url, bytes] of limits) {
    const client = await connect(t, url)
    client.send('x'.repeat(bytes))
    t.equal(String(await client.next()).length, bytes, `${url} takes ${bytes}`)
    client.send('x'.repeat(bytes + 1))
    t.equal((await client.closed).code, 1009, `${url} takes no more`)
  }
})

void t.test('each route of a server has its own options', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/a', {
      websocketOptions: { subprotocols: ['a'], checkOrigin: ['//a.example'] },
      websocketHandler: handler
    })
    app.get('/b', { websocketOptions: { subprotocols: ['b'] }, websocketHandler: handler })
    app.get('/c', { websocketHandler: handler })
  }, { websock: { subprotocols: ['c'], checkOrigin: ['//c.example'] } })
  const open = async (path: string, origin: string): Promise<string> =>
    (await connect(t, server.url(path), { protocols: ['a', 'b', 'c'], origin })).socket.protocol
  t.equal(await open('/a', 'https://a.example'), 'a')
  t.equal(await open('/b', 'https://c.example'), 'b')
  t.equal(await open('/c', 'https://c.example'), 'c')
  await t.rejects(open('/a', 'https://c.example'), /403/)
  await t.rejects(open('/c', 'https://a.example'), /403/)
})
