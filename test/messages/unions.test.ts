import t, { type Test } from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { connect } from '../helpers/client.ts'
import {
  startServer,
  type App,
  type ServerOptions,
  type Teardown,
  type TestServer
} from '../helpers/server.ts'

const Say = Type.Object({ event: Type.Literal('say'), text: Type.String() })
const Leave = Type.Object({ event: Type.Literal('leave') })
const Move = Type.Object({
  event: Type.Union([Type.Literal('left'), Type.Literal('right')]),
  by: Type.Integer()
})
const Turn = Type.Object({
  event: Type.Enum(['flip', 'flop']),
  times: Type.Optional(Type.Integer())
})

/** A route at `/` that answers each message with `ok` or the text of its error. */
function startValidator (t: Teardown, receive: object, { prepare, fastify, ...route }: {
  prepare?: (app: App) => void, fastify?: ServerOptions['fastify'], validatorCompiler?: unknown
} = {}): Promise<TestServer> {
  return startServer(t, (app) => {
    prepare?.(app)
    app.get('/', {
      ...(route as object),
      schema: { websocket: { receive: receive as typeof Say } },
      websocketHandler: {
        handleIn: (_message, _state, ws) => ws.push('"ok"'),
        handleInvalid: ({ error }, _state, ws) =>
          ws.push(JSON.stringify(
            error.message.replace('The client sent a message that does not match: ', '')
          ))
      }
    })
  }, { fastify: fastify ?? {} })
}

/** Sends each message and checks its answer. */
async function checkVerdicts (
  t: Test,
  server: TestServer,
  verdicts: ReadonlyArray<readonly [message: unknown, verdict: string]>
): Promise<void> {
  const client = await connect(t, server.url('/'))
  for (const [message, verdict] of verdicts) {
    client.send(typeof message === 'string' ? message : JSON.stringify(message))
    t.equal(await client.nextJson(), verdict, JSON.stringify(message).slice(0, 100))
  }
}

void t.test('a union may have `required` and `discriminator`, also in strict mode', async (t) => {
  const union = {
    type: 'object',
    required: ['event'],
    discriminator: { propertyName: 'event' },
    oneOf: [Say, Leave]
  }
  await checkVerdicts(t, await startValidator(t, union), [
    [{ event: 'leave' }, 'ok'],
    [{ event: 'dance' }, 'message/event must be one of say, leave'],
    [{ text: 'a' }, 'message/event must be one of say, leave']
  ])
  const more = { required: ['event', 'text'], oneOf: [Say, Leave] }
  await checkVerdicts(t, await startValidator(t, more), [
    [{ event: 'leave' }, "message must have required property 'text'"]
  ])
})

void t.test('the discriminating field selects the callback of `on`, or handleIn', async (t) => {
  const server = await startServer(t, (app) => {
    const schema = { websocket: { receive: Type.Union([Say, Leave, Turn]) } }
    const on = {
      event: {
        say: ({ text }: { text: string }, _state: unknown, ws: { push: any }) =>
          ws.push(JSON.stringify(['say', text])),
        flip: async ({ times }: { times?: number }, _state: unknown, ws: { push: any }) =>
          ws.push(JSON.stringify(['flip', times])),
        flop: (_message: object, _state: unknown, ws: { push: any }) => ws.push('["flop",null]')
      }
    }
    app.get('/rest', {
      schema,
      websocketHandler: {
        on,
        handleIn: (message, _state, ws) => ws.push(JSON.stringify(['rest', message]))
      }
    })
    app.get('/no-rest', {
      schema,
      websocketHandler: {
        on: {
          event: {
            ...on.event,
            leave: (message, _state, ws) => ws.push(JSON.stringify(['own', message]))
          }
        }
      }
    })
  })
  for (const path of ['/rest', '/no-rest']) {
    const client = await connect(t, server.url(path))
    for (const message of [
      { event: 'leave' },
      { event: 'say', text: 'a' },
      { event: 'flip', times: 2 },
      { event: 'flop' }
    ]) {
      client.send(message)
    }
    t.same(await client.nextJson(), [path === '/rest' ? 'rest' : 'own', { event: 'leave' }])
    t.same(await client.nextJson(), ['say', 'a'])
    t.same(await client.nextJson(), ['flip', 2])
    t.same(await client.nextJson(), ['flop', null])
  }
})

void t.test('`on` may have several fields, and ignores names of Object.prototype', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: {
        websocket: {
          receive: Type.Object({
            event: Type.Optional(Type.Unknown()),
            kind: Type.Optional(Type.Unknown())
          })
        }
      },
      websocketHandler: {
        on: {
          event: {
            say: (_message: unknown, _state: unknown, ws: { push: any }) => ws.push('event say')
          },
          kind: {
            say: (_message: unknown, _state: unknown, ws: { push: any }) => ws.push('kind say')
          }
        },
        handleIn: (_message: unknown, _state: unknown, ws: { push: any }) => ws.push('rest')
      } as never
    })
  })
  const client = await connect(t, server.url('/'))
  const cases: Array<[message: unknown, answer: string]> = [
    [{ event: 'say', kind: 'say' }, 'event say'],
    [{ event: 'other', kind: 'say' }, 'kind say'],
    ...['constructor', 'toString', '__proto__', 'hasOwnProperty', ''].map(
      (event): [unknown, string] => [{ event }, 'rest']
    ),
    ...[1, null, ['say'], { toString: 'say' }, true].map((event): [unknown, string] => [
      { event },
      'rest'
    ])
  ]
  for (const [message, answer] of cases) {
    client.send(message)
    t.equal(await client.next(), answer, JSON.stringify(message))
  }
})

void t.test('the error of a discriminated union names the selected member only', async (t) => {
  for (const receive of [
    Type.Union([Say, Leave, Turn]),
    { oneOf: [Say, Leave, Turn] },
    { ...Type.Union([Say, Leave, Turn]), title: 'All', type: 'object' }
  ]) {
    const none = 'message/event must be one of say, leave, flip, flop'
    await checkVerdicts(t, await startValidator(t, receive), [
      [{ event: 'say', text: 'a' }, 'ok'],
      [{ event: 'leave', text: 1 }, 'ok'],
      [{ event: 'flop' }, 'ok'],
      [{ event: 'say' }, "message must have required property 'text'"],
      [{ event: 'say', text: 1 }, 'message/text must be string'],
      [{ event: 'flip', times: '1' }, 'message/times must be integer'],
      ...[
        { event: 'constructor' }, { event: '__proto__' }, { event: 'toString' }, { event: 1 },
        { event: ['say'] }, {}, [], null, 'say', 1
      ].map((message) => [message === 'say' ? '"say"' : message, none] as const)
    ])
  }
})

void t.test('only the selected member of a discriminated union is tried', async (t) => {
  const tried: string[] = []
  const members = Array.from({ length: 50 }, (_, i) =>
    Type.Object({ event: Type.Literal(`e${i}`) }, { title: `E${i}` })
  )
  const server = await startValidator(t, Type.Union(members), {
    validatorCompiler:
      ({ schema }: { schema: { title?: string } }) =>
        () => {
          tried.push(schema.title ?? 'the whole')
          return true
        }
  })
  // The library calls validators at start, to find out whether they coerce.
  tried.length = 0
  await checkVerdicts(t, server, [[{ event: 'e7' }, 'ok'], [{ event: 'e49' }, 'ok']])
  t.same(tried, ['E7', 'E49'])
})

void t.test('a union without a discriminating field accepts what a member accepts', async (t) => {
  const unions: Record<
    string,
    [receive: object, verdicts: Array<[message: unknown, verdict: 'ok' | 'no']>]
  > = {
    'no field in common': [
      Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Integer() })]),
      [[{ a: 'a' }, 'ok'], [{ b: 1 }, 'ok'], [{ b: '1' }, 'no'], [{}, 'no']]
    ],
    'the same value twice': [
      Type.Union([Say, Type.Object({ event: Type.Literal('say'), n: Type.Integer() })]),
      [
        [{ event: 'say', text: 'a' }, 'ok'],
        [{ event: 'say', n: 1 }, 'ok'],
        [{ event: 'say' }, 'no']
      ]
    ],
    'the field is optional': [
      Type.Union([
        Say,
        Type.Object({ event: Type.Optional(Type.Literal('x')), n: Type.Integer() })
      ]),
      [[{ n: 1 }, 'ok'], [{ event: 'x', n: 1 }, 'ok'], [{ event: 'y', n: 1 }, 'no']]
    ],
    'a field with numbers': [
      Type.Union([
        Type.Object({ v: Type.Literal(1) }),
        Type.Object({ v: Type.Literal(2), n: Type.Integer() })
      ]),
      [[{ v: 1 }, 'ok'], [{ v: 2 }, 'no'], [{ v: 2, n: 1 }, 'ok']]
    ],
    'members that are no objects': [
      Type.Union([Type.String(), Type.Null(), Type.Array(Type.Integer())]),
      [['"a"', 'ok'], [null, 'ok'], [[1], 'ok'], [['1'], 'no'], [1, 'no']]
    ],
    nested: [
      Type.Union([Type.Union([Say, Leave]), Turn]),
      [
        [{ event: 'leave' }, 'ok'],
        [{ event: 'say' }, 'no'],
        [{ event: 'flip' }, 'ok'],
        [{ event: 'x' }, 'no']
      ]
    ],
    'a field with a union of literals': [
      Type.Union([Say, Move]),
      [
        [{ event: 'left', by: 1 }, 'ok'],
        [{ event: 'right', by: '1' }, 'no'],
        [{ event: 'up', by: 1 }, 'no'],
        [{ event: 'say', text: '' }, 'ok']
      ]
    ],
    'anyOf beside oneOf': [
      { anyOf: [Say, Leave], oneOf: [{ ...Leave, required: ['event', 'why'] }, Say] },
      [
        [{ event: 'say', text: 'a' }, 'ok'],
        [{ event: 'leave' }, 'no'],
        [{ event: 'leave', why: 1 }, 'ok']
      ]
    ],
    'required beside anyOf': [
      { anyOf: [Say, Leave], required: ['id'] },
      [[{ event: 'leave' }, 'no'], [{ event: 'leave', id: 1 }, 'ok']]
    ]
  }
  for (const [name, [receive, verdicts]] of Object.entries(unions)) {
    const server = await startValidator(t, receive)
    const client = await connect(t, server.url('/'))
    for (const [message, verdict] of verdicts) {
      client.send(typeof message === 'string' ? message : JSON.stringify(message))
      t.equal(
        (await client.nextJson()) === 'ok' ? 'ok' : 'no',
        verdict,
        `${name}: ${JSON.stringify(message)}`
      )
    }
  }
})

void t.test('schemas may refer to shared ones', async (t) => {
  const prepare = (app: App): void => {
    app.addSchema({ $id: 'text', type: 'string', minLength: 1 })
    app.addSchema({
      $id: 'said',
      ...Say,
      properties: { ...Say.properties, text: { $ref: 'text#' } }
    })
    app.addSchema({ $id: 'left', ...Leave })
  }
  const cases: object[] = [
    { anyOf: [{ $ref: 'said#' }, { $ref: 'left#' }] },
    { anyOf: [{ ...Say, properties: { ...Say.properties, text: { $ref: 'text#' } } }, Leave] },
    { $id: 'all', anyOf: [{ $ref: 'said#' }, Leave] }
  ]
  for (const receive of cases) {
    const server = await startValidator(t, receive, { prepare })
    const client = await connect(t, server.url('/'))
    for (const [message, verdict] of [
      [{ event: 'say', text: 'a' }, true],
      [{ event: 'leave' }, true],
      [{ event: 'say', text: '' }, false]
    ] as const) {
      client.send(message)
      t.equal(await client.nextJson() === 'ok', verdict, JSON.stringify(receive).slice(0, 60))
    }
  }
})

void t.test('a union may refer to itself', async (t) => {
  const leaf = { type: 'object', properties: { kind: { const: 'leaf' } }, required: ['kind'] }
  const node = {
    type: 'object',
    properties: { kind: { const: 'node' }, children: { type: 'array', items: { $ref: '#' } } },
    required: ['kind', 'children']
  }
  const server = await startServer(t, (app) => {
    app.addSchema({ $id: 'shared', anyOf: [leaf, node] })
    const websocketHandler = {
      handleIn: (message: unknown, _state: unknown, ws: { push: any }): unknown => ws.push(message)
    }
    app.get('/own', {
      schema: {
        websocket: {
          receive: { $id: 'in', anyOf: [leaf, node] },
          send: { $id: 'out', oneOf: [leaf, node] }
        }
      },
      websocketHandler
    } as never)
    app.get('/shared', {
      schema: { websocket: { receive: { $ref: 'shared#' }, send: { $ref: 'shared#' } } },
      websocketHandler
    } as never)
  })
  for (const path of ['/own', '/shared']) {
    const client = await connect(t, server.url(path))
    const tree = {
      kind: 'node',
      children: [{ kind: 'leaf' }, { kind: 'node', children: [{ kind: 'leaf' }] }]
    }
    client.send(tree)
    t.same(await client.nextJson(), tree, path)
    client.send({ kind: 'node', children: [{ kind: 'leaf' }, { kind: 'twig' }] })
    t.same(await client.closed, { code: 1008, reason: 'message does not match' }, path)
  }
})

void t.test('a message nested 100,000 levels deep ends only its own connection', async (t) => {
  const recursive = { $id: 'deep', type: 'object', properties: { a: { $ref: '#' } } }
  const server = await startServer(t, (app) => {
    const handleIn = (message: unknown, _state: unknown, ws: { push: any }): unknown =>
      ws.push(message)
    const schemas = {
      '/recursive': { receive: recursive },
      '/flat': { receive: Type.Object({}), send: Type.Object({}) },
      '/back': { receive: {}, send: {} }
    }
    for (const [path, websocket] of Object.entries(schemas)) {
      app.get(path, { schema: { websocket }, websocketHandler: { handleIn } } as never)
    }
  })
  const other = await connect(t, server.url('/flat'))
  const deep = '{"a":'.repeat(100_000) + '{}' + '}'.repeat(100_000)
  const closes: Record<string, unknown> = {
    '/recursive': { code: 1008, reason: 'message does not match' },
    '/back': { code: 1011, reason: '' }
  }
  for (const [path, closed] of Object.entries(closes)) {
    const client = await connect(t, server.url(path))
    client.send(deep)
    t.same(await client.closed, closed, path)
  }
  other.send(deep)
  t.same(
    await other.nextJson(),
    {},
    'a schema that does not describe the levels accepts the message'
  )
})
