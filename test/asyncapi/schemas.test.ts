import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { describe, diagnose } from '../helpers/asyncapi.ts'
import type { App } from '../helpers/server.ts'
import type { AsyncApiDocument, AsyncApiOptions } from '../../src/asyncapi/index.ts'

const JSON_CODEC = {
  opcode: 'text' as const,
  contentType: 'application/json',
  decode: JSON.parse,
  encode: JSON.stringify
}

/** A route whose schemas are not compiled. */
const UNCHECKED = { route: { validatorCompiler: () => () => true } }

/**
 * Returns the document of a route with this `receive` schema, and the payload of its first message.
 * With `valid`, AsyncAPI's parser must accept the document.
 */
async function payloadOf (
  t: any,
  receive: unknown,
  {
    route = {},
    prepare,
    options,
    valid = false
  }: {
    valid?: boolean
    route?: object
    prepare?: (app: App) => void
    options?: AsyncApiOptions
  } = {}
): Promise<{ payload: any, schemas: any, document: AsyncApiDocument }> {
  const { document } = await describe(t, (app) => {
    prepare?.(app)
    app.get('/', {
      ...route,
      schema: { websocket: { receive } },
      websocketHandler: { handleIn () {} }
    } as never)
  }, options)
  if (valid) t.same(await diagnose(document), [], 'the parser reports no diagnostic')
  const [message] = Object.values(document.channels['root']!.messages)
  return { payload: message?.payload, schemas: document.components.schemas, document }
}

void t.test('recursive schemas become a component, however they refer to themselves', async (t) => {
  const kids = (ref: string): object => ({
    type: 'object',
    properties: { kids: { type: 'array', items: { $ref: ref } } }
  })
  const cases: Array<[string, unknown]> = [
    ['TypeBox', Type.Cyclic({ Node: Type.Object({ kids: Type.Array(Type.Ref('Node')) }) }, 'Node')],
    ['#', { title: 'Node', ...kids('#') }],
    [
      'definitions',
      { $ref: '#/definitions/Node', definitions: { Node: kids('#/definitions/Node') } }
    ],
    ['an id', { $id: 'Node', ...kids('Node#') }],
    ['an id that is a URL', { $id: 'https://example.com/schemas/Node', ...kids('#') }]
  ]
  for (const [name, schema] of cases) {
    const { payload, schemas } = await payloadOf(t, schema, { valid: true, ...UNCHECKED })
    t.same(payload, { $ref: '#/components/schemas/Node' }, name)
    t.same(schemas.Node.properties.kids.items, { $ref: '#/components/schemas/Node' }, name)
    t.same(Object.keys(schemas), ['Node'], name)
  }
})

void t.test('shared schemas become components once, with the names of refResolver', async (t) => {
  const shared = {
    $id: 'shared',
    definitions: { text: { type: 'string', minLength: 1 } },
    type: 'object',
    properties: { text: { $ref: '#/definitions/text' } }
  }
  const { document } = await describe(t, async (app) => {
    app.addSchema(shared)
    for (const url of ['/a', '/b']) {
      await app.register(async (child) => {
        child.addSchema({ $id: 'own', type: url === '/a' ? 'string' : 'number' })
        child.get(url, {
          schema: {
            params: { $ref: 'shared#' },
            querystring: { $ref: 'shared#' },
            websocket: {
              receive: {
                type: 'object',
                properties: {
                  shared: { $ref: 'shared#' },
                  text: { $ref: 'shared#/definitions/text' },
                  own: { $ref: 'own' }
                }
              }
            }
          },
          websocketHandler: { handleIn () {} }
        })
      })
    }
  })
  t.same(await diagnose(document), [])
  t.same(
    Object.keys(document.components.schemas).sort(),
    ['own', 'own-2', 'shared', 'text'],
    'schemas that differ by context have two names'
  )
  t.match(
    document.channels['a']!.bindings.ws.query,
    { type: 'object', properties: { text: { $ref: '#/components/schemas/text' } } },
    'the binding has the properties itself'
  )
  const named = await payloadOf(
    t,
    { $ref: 'shared#' },
    {
      prepare: (app) => app.addSchema(shared),
      options: {
        refResolver: {
          buildLocalReference: ({ $id }, _base, _fragment, i) => `${String($id ?? 'part')}/${i}`
        }
      }
    }
  )
  t.same(Object.keys(named.schemas), ['shared-0', 'part-1'])
})

void t.test(
  'members of unions become messages, named by their field or title',
  async (t) => {
    const names = async (receive: unknown, prepare?: (app: App) => void): Promise<string[]> => {
      const { document } = await payloadOf(t, receive, { valid: true, ...(prepare && { prepare }) })
      return Object.values(document.channels['root']!.messages)
        .filter((_, i, all) => i < all.length - 2)
        .map(({ name }) => name)
    }
    const member = (event: unknown): object => ({
      type: 'object',
      properties: { event },
      required: ['event']
    })
    t.same(await names({ anyOf: [member({ const: 'a/b' }), member({ enum: ['c', 'd'] })] }), [
      'a/b',
      'c',
      'd'
    ])
    t.same(
      await names({ oneOf: [{ $ref: 'A#' }, member({ const: 'b' })] }, (app) =>
        app.addSchema({ $id: 'A', ...member({ const: 'a' }) })
      ),
      ['a', 'b']
    )
    t.same(
      await names({
        anyOf: [{ anyOf: [member({ const: 'a' }), member({ const: 'b' })] }, member({ const: 'c' })]
      }),
      ['a', 'b', 'c'],
      'unions in unions'
    )
    t.same(
      await names({
        anyOf: [
          member({ const: 'a' }),
          member({ const: 'b' }),
          { type: 'object', title: 'Odd' },
          { type: 'string' }
        ]
      }),
      ['a', 'b', 'Odd', 'message 4']
    )
    t.same(
      await names({
        anyOf: [{ allOf: [member({ const: 'a' }), { type: 'object' }] }, member({ const: 'b' })]
      }),
      ['a', 'b']
    )
    t.same(await names({ type: 'array', items: { type: 'string' } }), ['message'])
    t.same(await names(Type.Never()), [])
  }
)

void t.test('a member with several values becomes one message for each', async (t) => {
  const { document } = await payloadOf(
    t,
    {
      anyOf: [
        {
          type: 'object',
          properties: { event: { type: 'string', enum: ['c', 'd'] } },
          required: ['event']
        }
      ]
    },
    { valid: true }
  )
  t.same(document.channels['root']!.messages['receive.d']?.payload['properties'], {
    event: { type: 'string', const: 'd' }
  })
})

void t.test('keywords that draft 07 does not have are translated', async (t) => {
  const cases: Array<[schema: object, payload: object]> = [
    [{ type: 'string', nullable: true }, { type: ['string', 'null'] }],
    [
      { type: 'array', prefixItems: [{ type: 'string' }], items: false },
      { type: 'array', items: [{ type: 'string' }], additionalItems: false }
    ],
    [
      { type: 'object', dependentRequired: { a: ['b'] } },
      { type: 'object', dependencies: { a: ['b'] } }
    ],
    [
      { type: 'object', properties: { a: true, b: false, n: { type: 'bigint' } } },
      { type: 'object', properties: { a: true, b: false, n: { 'x-type': 'bigint' } } }
    ],
    [
      { type: 'string', example: 'a', $comment: 'no', errorMessage: {} },
      { type: 'string', examples: ['a'] }
    ],
    [
      { $ref: '#/$defs/a', description: 'b', $defs: { a: { type: 'string' } } },
      { allOf: [{ $ref: '#/components/schemas/a' }], description: 'b' }
    ],
    [{ $ref: '#/$defs/any', $defs: { any: true } }, { $ref: '#/components/schemas/any' }],
    [
      {
        type: 'object',
        properties: { schema: { type: 'string' }, $id: { type: 'number' } },
        schema: 1
      },
      { type: 'object', properties: { schema: { type: 'string' }, $id: { type: 'number' } } }
    ],
    [{ type: 'object', discriminator: { propertyName: 'a' } }, { type: 'object' }],
    [{ const: 1n, default: undefined }, { const: 1 }]
  ]
  const { document } = await describe(t, (app) => {
    cases.forEach(([receive], i) =>
      app.get(`/${i}`, {
        ...UNCHECKED.route,
        schema: { websocket: { receive } },
        websocketHandler: { handleIn () {} }
      } as never)
    )
  })
  t.same(await diagnose(document), [])
  cases.forEach(([schema, payload], i) => {
    const [message] = Object.values(document.channels[String(i)]!.messages)
    t.same(message?.payload, payload, Object.keys(schema).join())
  })
})

void t.test(
  'zod: received messages have the input type, sent ones the type that is serialized',
  async (t) => {
    const receive = z.discriminatedUnion('event', [
      z
        .object({
          event: z.literal('at'),
          date: z.string().transform((text) => new Date(text)),
          n: z.number().default(1)
        })
        .meta({ title: 'At' }),
      z.object({ event: z.literal('big'), n: z.bigint().optional() })
    ])
    const tree = z.object({
      name: z.string().nullable(),
      get kids () {
        return z.array(tree)
      }
    })
    const coded = z.object({
      event: z.literal('n'),
      n: z.codec(z.string(), z.number(), { decode: Number, encode: String })
    })
    const { document } = await describe(t, (app) => {
      app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
      const schema = {
        querystring: z.object({ since: z.coerce.number().optional() }),
        websocket: { receive, send: coded }
      }
      app.get('/zod', { schema, websocketHandler: { handleIn () {} } } as never)
      app.get('/tree', {
        schema: { websocket: { receive: z.union([tree, z.array(tree)]) } },
        websocketHandler: { handleIn () {} }
      } as never)
      app.get('/codec', {
        schema,
        websocketOptions: { codec: JSON_CODEC },
        websocketHandler: { handleIn () {} }
      } as never)
    })
    t.same(await diagnose(document), [])
    const { messages } = document.channels['zod']!
    t.match(messages['receive.at'], {
      name: 'at',
      title: 'At',
      payload: { properties: { date: { type: 'string' } }, required: ['event', 'date'] }
    })
    t.match(messages['send.n']?.payload, { properties: { n: { type: 'string' } } })
    t.match(
      document.channels['codec']!.messages['send.n']?.payload,
      { properties: { n: { type: 'number' } } },
      'another codec encodes the output'
    )
  }
)

void t.test(
  'a schema that cannot become JSON Schema is refused, and transform can convert it',
  async (t) => {
    class Odd {}
    await t.rejects(payloadOf(t, new Odd(), UNCHECKED), {
      code: 'FST_WEBSOCK_UNDESCRIBABLE',
      message: /transform/
    })
    const { payload } = await payloadOf(t, new Odd(), {
      ...UNCHECKED,
      options: {
        transform: ({ schema, url }) => ({
          schema: { ...schema, websocket: { receive: { type: 'string' } } },
          url
        })
      }
    })
    t.same(payload, { type: 'string' })
  }
)
