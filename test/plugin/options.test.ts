import Fastify from 'fastify'
import t from 'tap'
import websock, { type WebsocketHandler, type WebsocketOptions } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { buildApp, startServer, type Teardown } from '../helpers/server.ts'
import { circle, MIB, ROWS } from './option-values.ts'

const handler: WebsocketHandler = { handleIn: (message, _state, ws) => ws.push(message) }
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
  t.same(
    known?.split(', ').sort(),
    [...names].sort(),
    'the error lists the options that have a row'
  )

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

void t.test('names of Object.prototype, and similar names, are not options', async (t) => {
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
  const { accepted, refused, words, pluginOnly } = ROWS[name]

  void t.test(`${name} of the plugin is checked at register`, async (t) => {
    for (const value of accepted) {
      await t.resolves(register(t, { [name]: value }), String(JSON.stringify(value)))
    }
    for (const value of refused) {
      const error = await failure(() => register(t, { [name]: value }))
      t.equal(error.code, 'FST_WEBSOCK_INVALID_OPTION', error.message)
      const [, rule = ''] =
        /^Option `\w+` of fastify-websock must be (.*), got /.exec(error.message) ?? []
      t.ok(error.message.startsWith(`Option \`${name}\` `), error.message)
      t.match(rule, words)
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
      t.throws(() => declare(accepted[0]), {
        code: 'FST_WEBSOCK_UNKNOWN_OPTION',
        message: `Unknown option \`${name}\` in the websocketOptions of GET:/1`
      })
      return
    }
    for (const value of accepted) {
      t.doesNotThrow(() => declare(value), String(JSON.stringify(value)))
    }
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

void t.test('the error shows the given value, shortened', async (t) => {
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
    t.equal(String(await client.next()).length, bytes, `${url} accepts ${bytes} bytes`)
    client.send('x'.repeat(bytes + 1))
    t.equal((await client.closed).code, 1009, `${url} refuses one more byte`)
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
