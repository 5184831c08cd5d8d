import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { z } from 'zod'
import websock, { typed, type WebsocketContext } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { buildApp, startServer } from '../helpers/server.ts'

const Say = Type.Object({ event: Type.Literal('say'), text: Type.String() })
const Leave = Type.Object({ event: Type.Literal('leave') })
const Turn = Type.Object({ event: Type.Union([Type.Literal('flip'), Type.Literal('flop')]) })
const union = Type.Union([Say, Leave])
const callback = (): void => {}

interface Case {
  readonly receive?: unknown
  readonly on?: unknown
  readonly handleIn?: () => void
  readonly guard?: () => void
}

const refused: Record<string, Case & { readonly text: string }> = {
  'a schema without `on` and `handleIn`': {
    receive: union,
    text: '`schema.websocket.receive` is declared, but nothing handles its messages: add ' +
      '`handleIn` or `on`'
  },
  'a schema with an empty `on`': {
    receive: union,
    on: {},
    text: '`schema.websocket.receive` is declared, but nothing handles its messages: add ' +
      '`handleIn` or `on`'
  },
  'a type without `on` and `handleIn`': {
    receive: typed<string>(),
    text: '`schema.websocket.receive` is declared, but nothing handles its messages: add ' +
      '`handleIn` or `on`'
  },
  '`on` without a schema': {
    on: { event: { say: callback } },
    text: '`on` needs a `receive` schema: add `schema.websocket.receive`, or handle messages in ' +
      '`handleIn`'
  },
  'a guard alone': {
    guard: callback,
    text: '`guard` is called before the callback of a message, but there is none: add ' +
      '`handleIn`, or `on` with a `receive` schema'
  },
  'a guard with a schema only': {
    receive: union,
    guard: callback,
    text: '`schema.websocket.receive` is declared, but nothing handles its messages: add ' +
      '`handleIn` or `on`'
  },
  '`on` without a schema, beside `handleIn`': {
    on: { event: { say: callback } },
    handleIn: callback,
    text: '`on` needs a `receive` schema: add `schema.websocket.receive`, or handle messages in ' +
      '`handleIn`'
  },
  'a field that is not in the schema': {
    receive: union,
    on: { kind: { say: callback } },
    handleIn: callback,
    text: '`on.kind`: the `receive` schema has no field `kind`'
  },
  'a field of Object.prototype': {
    receive: union,
    on: { toString: { say: callback } },
    handleIn: callback,
    text: '`on.toString`: the `receive` schema has no field `toString`'
  },
  'a value that is not in the schema': {
    receive: union,
    on: { event: { sya: callback } },
    handleIn: callback,
    text: '`on.event.sya`: in the `receive` schema `event` is never "sya", but one of say, leave'
  },
  'a value without a callback': {
    receive: union,
    on: { event: { say: callback } },
    text: '`on.event` has no callback for leave: add it, or a `handleIn` for the rest'
  },
  'values of a nested union without a callback': {
    receive: Type.Union([Say, Type.Union([Leave, Turn])]),
    on: { event: { say: callback } },
    text: '`on.event` has no callback for leave, flip, flop: add it, or a `handleIn` for the rest'
  },
  'a member without the field': {
    receive: Type.Union([Say, Type.Object({ n: Type.Integer() })]),
    on: { event: { say: callback } },
    text: '`on.event` cannot handle messages whose `event` is no literal string: add a ' +
      '`handleIn` for them'
  },
  'a field that a member may leave out': {
    receive: Type.Union([Say, Type.Object({ event: Type.Optional(Type.Literal('leave')) })]),
    on: { event: { say: callback, leave: callback } },
    text: '`on.event` cannot handle messages whose `event` is no literal string: add a ' +
      '`handleIn` for them'
  },
  'a schema that accepts other values than objects': {
    receive: { properties: { event: { const: 'say' } }, required: ['event'] },
    on: { event: { say: callback } },
    text: '`on.event` cannot handle messages whose `event` is no literal string: add a ' +
      '`handleIn` for them'
  },
  'a field with any string': {
    receive: Type.Object({ event: Type.String() }),
    on: { event: { say: callback } },
    text: '`on.event` cannot handle messages whose `event` is no literal string: add a ' +
      '`handleIn` for them'
  }
}

const accepted: Record<string, Case> = {
  'all values': {
    receive: Type.Union([Say, Leave, Turn]),
    on: { event: { say: callback, leave: callback, flip: callback, flop: callback } }
  },
  'one value and the rest': {
    receive: union,
    on: { event: { say: callback } },
    handleIn: callback
  },
  'an object that is no union': { receive: Say, on: { event: { say: callback } } },
  'oneOf and enum': {
    receive: {
      oneOf: [{ type: 'object', properties: { event: { enum: ['a', 'b'] } }, required: ['event'] }]
    },
    on: { event: { a: callback, b: callback } }
  },
  'a union with the type of its members': {
    receive: {
      type: 'object',
      anyOf: [{ properties: { event: { const: 'a' } }, required: ['event'] }]
    },
    on: { event: { a: callback } }
  },
  'an optional field and the rest': {
    receive: Type.Object({ event: Type.Optional(Type.Literal('say')) }),
    on: { event: { say: callback } },
    handleIn: callback
  },
  'any string and the rest': {
    receive: Type.Object({ event: Type.String() }),
    on: { event: { say: callback } },
    handleIn: callback
  },
  'a type without a schema': {
    receive: typed<{ event: 'say' }>(),
    on: { event: { say: callback } }
  },
  'a schema with a $ref': { receive: { $ref: 'shared#' }, on: { event: { say: callback } } },
  'a guard and a `handleIn`': { guard: callback, handleIn: callback },
  'a guard and `on`': { receive: Say, guard: callback, on: { event: { say: callback } } },
  'no schema and no callback': {}
}

for (const [name, { text, ...given }] of Object.entries(refused)) {
  void t.test(`refused at start: ${name}`, async (t) => {
    const { app } = await declare(t, given)
    await t.rejects(Promise.resolve(app.ready()), {
      code: 'FST_WEBSOCK_UNHANDLED',
      message: `Route GET:/v1/ws: ${text}`
    })
  })
}

for (const [name, given] of Object.entries(accepted)) {
  void t.test(`accepted at start: ${name}`, async (t) => {
    const { app } = await declare(t, given)
    await t.resolves(Promise.resolve(app.ready()))
  })
}

void t.test('accepted at start: a zod schema without `handleIn`', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  const schema = { websocket: { receive: z.object({ event: z.literal('say') }) } }
  app.get('/ws', {
    schema,
    validatorCompiler: () => () => true,
    websocketHandler: { on: { event: { say: callback } } }
  } as never)
  await t.resolves(Promise.resolve(app.ready()))
})

const withUnknownFields: Record<string, unknown> = {
  'a $ref': { $ref: 'shared#' },
  'an allOf': { allOf: [union] },
  'a field behind a $ref': {
    type: 'object',
    properties: { event: { $ref: '#/$defs/event' } },
    required: ['event'],
    $defs: { event: { enum: ['say', 'leave'] } }
  }
}

for (const [name, receive] of Object.entries(withUnknownFields)) {
  for (const guarded of [false, true]) {
    void t.test(
      `a message without a callback is logged once: ${name}${guarded ? ', with a guard' : ''}`,
      async (t) => {
        const server = await startServer(t, (app) => {
          app.addSchema({ $id: 'shared', ...union })
          app.get('/', {
            schema: { websocket: { receive } },
            websocketHandler: {
              ...(guarded && { guard: callback }),
              on: {
                event: {
                  say: (
                    _message: unknown,
                    _state: unknown,
                    ws: WebsocketContext<string, unknown, unknown>
                  ) => ws.push('said')
                }
              },
              handleControl: (
                _frame: unknown,
                _state: unknown,
                ws: WebsocketContext<string, unknown, unknown>
              ) => ws.push('pinged')
            }
          } as never)
        })
        const client = await connect(t, server.url('/'))
        client.send({ event: 'say', text: '' })
        t.equal(await client.next(), 'said')
        t.same(server.logs, [])
        for (let n = 0; n < 3; n++) client.send({ event: 'leave' })
        client.socket.ping()
        t.equal(await client.next(), 'pinged', 'the connection stays open')
        t.match(server.logs, [
          {
            level: 40,
            route: '/',
            msg: /^a valid message was dropped: `on` has no callback for it/
          }
        ])
        t.equal(server.logs.length, 1)
      }
    )
  }
}

async function declare (
  t: Parameters<typeof buildApp>[0],
  { receive, on, handleIn, guard }: Case
): Promise<ReturnType<typeof buildApp>> {
  const built = buildApp(t)
  await built.app.register(websock)
  built.app.addSchema({ $id: 'shared', ...union })
  const given = Object.entries({ on, handleIn, guard }).filter(([, value]) => value !== undefined)
  const websocketHandler = Object.fromEntries(given)
  await built.app.register(async (child) => {
    child.get('/ws', {
      schema: { websocket: { ...(receive === undefined ? {} : { receive }) } },
      websocketHandler
    } as never)
  }, { prefix: '/v1' })
  return built
}
