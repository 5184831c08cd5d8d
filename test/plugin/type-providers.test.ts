import t, { type Test } from 'tap'
import Ajv from 'ajv'
import {
  Type,
  TypeBoxValidatorCompiler,
  type TypeBoxTypeProvider
} from '@fastify/type-provider-typebox'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import type { FastifyInstance } from 'fastify'
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider
} from 'fastify-type-provider-zod'
import { z } from 'zod'
import websock, { typed, withTypeProvider, type ContractOf } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { buildApp, listen, startServer, type App, type Teardown } from '../helpers/server.ts'

type Say = { event: 'say', text: string } | { event: 'count', n: number }

const typebox = Type.Union([
  Type.Object({ event: Type.Literal('say'), text: Type.String() }),
  Type.Object({ event: Type.Literal('count'), n: Type.Integer({ default: 1 }) })
])
const plain = {
  anyOf: [
    {
      type: 'object',
      properties: { event: { const: 'say' }, text: { type: 'string' } },
      required: ['event', 'text']
    },
    {
      type: 'object',
      properties: { event: { const: 'count' }, n: { type: 'integer', default: 1 } },
      required: ['event', 'n']
    }
  ]
} as const
const zod = z.discriminatedUnion('event', [
  z.object({ event: z.literal('say'), text: z.string() }),
  z.object({ event: z.literal('count'), n: z.int() })
])

const websocketHandler = {
  handleIn: (message: Say, _state: unknown, ws: { push: any }): unknown =>
    ws.push({ ...message, secret: 1 }),
  handleInvalid: ({ kind }: { kind: string }, _state: unknown, ws: { push: any }): unknown =>
    ws.push({ event: 'say', text: kind })
}

/** Declares a route with `Say`, in the schema language of the provider. */
function declare (
  app: FastifyInstance<any, any, any, any, any>,
  schema: unknown,
  more: object = {}
): void {
  ;(app as FastifyInstance).get('/', {
    ...more,
    schema: { websocket: { receive: schema, send: schema } },
    websocketHandler
  } as never)
}

/**
 * The result that every provider must have: validated, not coerced, no default, unknown properties
 * removed when sent.
 */
async function checkProvider (t: Test, url: string): Promise<void> {
  const client = await connect(t, url)
  for (const message of [
    { event: 'say', text: 'a', more: 1 },
    { event: 'count', n: 2 },
    { event: 'count', n: '2' },
    { event: 'count' },
    { event: 'say', text: 1 },
    { event: 'x' }
  ]) {
    client.send(message)
  }
  t.same(
    await client.nextJson(),
    { event: 'say', text: 'a' },
    'a message that matches is handled, and is stripped when sent'
  )
  t.same(await client.nextJson(), { event: 'count', n: 2 })
  for (const what of [
    '"2" is not an integer',
    'a default is not set',
    '1 is not a string',
    'an unknown event does not match'
  ]) {
    t.same(await client.nextJson(), { event: 'say', text: 'mismatch' }, what)
  }
}

const withoutChanges = { coerceTypes: false, useDefaults: false, removeAdditional: false } as const
const ajv = new Ajv(withoutChanges)
const useZod = (app: App): void => {
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
}

const providers: Record<string, { fastify?: object, routes: (app: App) => unknown }> = {
  TypeBox: { routes: (app) => declare(app.withTypeProvider<TypeBoxTypeProvider>(), typebox) },
  'json-schema-to-ts': {
    routes: (app) => declare(app.withTypeProvider<JsonSchemaToTsProvider>(), plain)
  },
  'no provider': { routes: (app) => declare(app, plain) },
  'TypeBoxValidatorCompiler of the instance': {
    routes: (app) => {
      declare(app, typebox)
      app.setValidatorCompiler(TypeBoxValidatorCompiler as never)
    }
  },
  'TypeBoxValidatorCompiler of the route': {
    routes: (app) => declare(app, typebox, { validatorCompiler: TypeBoxValidatorCompiler })
  },
  'zod set before the route': {
    routes: (app) => {
      useZod(app)
      declare(app.withTypeProvider<ZodTypeProvider>(), zod)
    }
  },
  'zod set after the route': {
    routes: (app) => {
      declare(app.withTypeProvider<ZodTypeProvider>(), zod)
      useZod(app)
    }
  },
  'zod in a child context': {
    routes: async (app) => {
      await app.register(async (child) => {
        useZod(child as App)
        declare(child, zod)
      })
      app.get('/typebox', {
        schema: { websocket: { receive: typebox } },
        websocketHandler: { handleIn () {} }
      })
    }
  },
  'zod in the parent context': {
    routes: (app) => {
      useZod(app)
      return app.register(async (child) => declare(child, zod))
    }
  },
  'zod at the route': {
    routes: (app) => declare(app, zod, { validatorCompiler, serializerCompiler })
  },
  "an Ajv of the user's": {
    routes: (app) => {
      app.setValidatorCompiler(({ schema }) => ajv.compile(schema as object))
      declare(app, plain)
    }
  },
  'an Ajv that coerces': {
    routes: (app) => {
      app.setValidatorCompiler(({ schema }) =>
        new Ajv({ coerceTypes: true, useDefaults: true }).compile(schema as object)
      )
      declare(app, plain)
    }
  },
  "an Ajv for each part, as in Fastify's docs": {
    routes: (app) => {
      const parts: Record<string, Ajv | undefined> = {
        body: new Ajv(withoutChanges),
        querystring: new Ajv({ coerceTypes: true }),
        params: new Ajv({ coerceTypes: true }),
        headers: new Ajv({ coerceTypes: true })
      }
      app.setValidatorCompiler(({ schema, httpPart }) => {
        const part = parts[httpPart ?? '']
        if (part === undefined) throw new Error(`Missing compiler for ${String(httpPart)}`)
        return part.compile(schema as object)
      })
      declare(app, plain)
    }
  },
  'the customOptions of Fastify': {
    fastify: { ajv: { customOptions: { ...withoutChanges, allErrors: true } } },
    routes: (app) => declare(app, plain)
  }
}

for (const [name, { fastify, routes }] of Object.entries(providers)) {
  void t.test(`messages are validated and stripped with ${name}`, async (t) => {
    const server = await startServer(t, async (app) => {
      await routes(app)
    }, { fastify: fastify ?? {} })
    await checkProvider(t, server.url('/'))
    t.equal(server.logs.length, 0)
  })
}

/** A Fastify app whose route `/` receives `{ n }` with this schema and echoes it. */
async function startNumbers (
  t: Teardown,
  n: object,
  { fastify = {}, prepare }: { fastify?: object, prepare?: (app: App) => void },
  route: object = {}
): Promise<{ answer: (message: string) => Promise<unknown> }> {
  const server = await startServer(t, (app) => {
    prepare?.(app)
    app.get('/', {
      ...route,
      schema: { websocket: { receive: { type: 'object', properties: { n } } } },
      websocketHandler: {
        handleIn: (message: unknown, _state: unknown, ws: { push: any }) =>
          ws.push(JSON.stringify(message)),
        handleInvalid: ({ error }: { error: Error }, _state: unknown, ws: { push: any }) =>
          ws.push(error.message)
      }
    } as never)
  }, { fastify })
  const client = await connect(t, server.url('/'))
  return { answer: (message) => { client.send(message); return client.next() } }
}

void t.test('receive may use the keywords and formats of an Ajv without coercion', async (t) => {
  const isEven = (data: number) => data % 2 === 0
  const validate = (_wanted: unknown, data: number) => isEven(data)
  const keywords = [{ keyword: 'isEven', type: 'number', validate }]
  const own = new Ajv({
    ...withoutChanges,
    keywords: keywords as never,
    formats: { even: { type: 'number', validate: isEven } }
  })
  const useOwn = (app: App) =>
    app.setValidatorCompiler(({ schema }) => own.compile(schema as object))
  const cases: Array<[n: object, setup: Parameters<typeof startNumbers>[2]]> = [
    // Fastify creates its validator only when a route has a schema.
    [
      { type: 'integer', isEven: true },
      {
        fastify: { ajv: { customOptions: { ...withoutChanges, keywords } } },
        prepare: (app) => app.get('/http', { schema: { querystring: Type.Object({}) } }, () => ({}))
      }
    ],
    [{ type: 'integer', isEven: true }, { prepare: useOwn }],
    [{ type: 'integer', format: 'even' }, { prepare: useOwn }]
  ]
  for (const [n, setup] of cases) {
    const { answer } = await startNumbers(t, n, setup)
    t.equal(await answer('{"n":2,"more":1}'), '{"n":2,"more":1}')
    t.match(await answer('{"n":3}'), /does not match: message\/n must/)
    t.equal(
      await answer('{"n":"2"}'),
      'The client sent a message that does not match: message/n must be integer'
    )
  }
})

void t.test("a context's shared schemas are known when its parent has compilers", async (t) => {
  for (const customOptions of [{}, withoutChanges]) {
    const server = await startServer(t, async (app) => {
      app.get(
        '/http',
        { schema: { params: Type.Object({}), response: { 200: Type.Object({}) } } },
        () => ({})
      )
      await app.register(async (child) => {
        child.addSchema({ $id: 'shared', ...plain })
        declare(child, { $ref: 'shared#' })
      })
    }, { fastify: { ajv: { customOptions } } })
    await checkProvider(t, server.url('/'))
  }
})

void t.test('a route that asks for coercion with its own compiler gets it', async (t) => {
  const coercing = new Ajv({ coerceTypes: true, useDefaults: true })
  const { answer } = await startNumbers(
    t,
    { type: 'integer', default: 5 },
    {},
    { validatorCompiler: ({ schema }: { schema: object }) => coercing.compile(schema) }
  )
  t.equal(await answer('{"n":"2"}'), '{"n":2}')
  t.equal(await answer('{}'), '{"n":5}')
})

void t.test('a validator may return every result that Fastify allows', async (t) => {
  const cases: Array<[result: unknown, answer: string]> = [
    [true, '{"n":1}'],
    [undefined, '{"n":1}'],
    [null, '{"n":1}'],
    [{}, '{"n":1}'],
    [{ error: null }, '{"n":1}'],
    [{ value: { m: 2 } }, '{"m":2}'],
    [false, 'The client sent a message that does not match: message does not match its schema'],
    [{ error: new Error('no way') }, 'The client sent a message that does not match: no way'],
    [
      { error: [{ instancePath: '/n', message: 'is odd' }] },
      'The client sent a message that does not match: message/n is odd'
    ]
  ]
  for (const [result, wanted] of cases) {
    const { answer } = await startNumbers(t, {}, {}, { validatorCompiler: () => () => result })
    t.equal(await answer('{"n":1}'), wanted, JSON.stringify(result))
  }
})

void t.test('a validator that returns a promise is refused', async (t) => {
  const { answer } = await startNumbers(
    t,
    {},
    {},
    { validatorCompiler: () => () => Promise.reject(new Error('later')) }
  )
  await t.rejects(answer('{"n":1}'), { message: /closed 1011/ })
})

void t.test('a type without a schema validates nothing', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: {
        websocket: {
          receive: typed<{ n: number }>(),
          send: typed<{ n: number }>(),
          info: typed<string>()
        }
      },
      websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send('{"n":"1","more":[1]}')
  t.equal(await client.next(), '{"n":"1","more":[1]}')
})

void t.test('a schema that cannot be compiled is refused at start, with its name', async (t) => {
  const cases: Array<[part: 'receive' | 'send', schema: unknown, text: string]> = [
    ['receive', { type: 'strin' }, 'must be equal to one of the allowed values'],
    ['receive', { $ref: 'nowhere#' }, 'nowhere'],
    ['receive', { type: 'string', isEven: true }, 'isEven'],
    ['receive', { $async: true, type: 'object' }, 'async'],
    ['receive', 'string', 'it is not an object'],
    ['receive', { anyOf: [plain.anyOf[0], { ...plain.anyOf[1], required: 'n' }] }, 'n'],
    ['send', { $ref: 'nowhere#' }, 'nowhere'],
    ['send', 5, 'it is not an object'],
    ['send', null, 'it is not an object']
  ]
  for (const [part, schema, text] of cases) {
    const { app } = buildApp(t)
    await app.register(websock)
    await app.register(async (child) => {
      child.get('/ws/:id', {
        schema: { websocket: { [part]: schema } },
        websocketHandler: {}
      } as never)
    }, { prefix: '/v1' })
    const error = await Promise.resolve(app.ready()).then(
      () => undefined,
      (error: Error & { code: string }) => error
    )
    t.equal(error?.code, 'FST_WEBSOCK_INVALID_SCHEMA', `${part}: ${JSON.stringify(schema)}`)
    t.ok(
      error?.message.startsWith(
        `Route GET:/v1/ws/:id: \`schema.websocket.${part}\` cannot be compiled: `
      ) === true && error.message.includes(text),
      text
    )
  }
})

void t.test("the error of a user's compiler names the schema", async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  app.setValidatorCompiler(() => { throw new Error('not today') })
  app.get('/ws', { schema: { websocket: { receive: typebox } }, websocketHandler: {} })
  await t.rejects(listen(app), {
    code: 'FST_WEBSOCK_INVALID_SCHEMA',
    message: 'Route GET:/ws: `schema.websocket.receive` cannot be compiled: not today'
  })
})

void t.test('a zod schema that transforms: types of the handler and of ContractOf', async (t) => {
  const { defineWebsocketRoute } = withTypeProvider<ZodTypeProvider>()
  const time = z.codec(z.iso.datetime(), z.date(), {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString()
  })
  const route = defineWebsocketRoute({
    schema: { websocket: { receive: z.object({ at: time }), send: z.object({ later: time }) } },
    websocketHandler: {
      handleIn: ({ at }, _state, ws) => ws.push({ later: new Date(at.getTime() + 1000) })
    }
  })
  const server = await startServer(t, (app) => {
    useZod(app)
    app.get('/', route)
  })
  const client = await connect(t, server.url('/'))
  const question: ContractOf<typeof route>['Receive'] = { at: '2026-01-01T00:00:00.000Z' }
  const answer: ContractOf<typeof route>['Send'] = { later: '2026-01-01T00:00:01.000Z' }
  client.send(question)
  t.same(await client.nextJson(), answer)
})
