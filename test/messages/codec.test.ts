import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { decode, encode } from '@msgpack/msgpack'
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider
} from 'fastify-type-provider-zod'
import { z } from 'zod'
import { typed, type BinaryCodec, type TextCodec } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { startServer, type App } from '../helpers/server.ts'

const messagePack: BinaryCodec = {
  opcode: 'binary',
  decode: (data) => decode(data),
  encode: (message) => encode(message)
}

const Bytes = Type.Unsafe<Uint8Array>({})
const Put = Type.Object({ event: Type.Literal('put'), body: Bytes })
const Got = Type.Object({ event: Type.Literal('got'), body: Bytes, size: Type.Integer() })
const Gone = Type.Object({ event: Type.Literal('gone') })

type Push = { push: any }

void t.test(
  'a binary codec carries bytes both ways, and only properties of the schema are sent',
  async (t) => {
    const states: object[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { codec: messagePack },
        schema: { websocket: { receive: Put, send: Type.Union([Got, Gone]) } },
        websocketHandler: {
          handleIn: ({ body }, _state, ws) => {
            const answer = { event: 'got' as const, body, size: body.length, secret: 'kept' }
            states.push(answer)
            return ws.push([answer, { event: 'gone', secret: 1 } as never])
          }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    const body = Uint8Array.from({ length: 70_000 }, (_, i) => i % 256)
    for (const bytes of [body, new Uint8Array(0)]) {
      client.send(encode({ event: 'put', body: bytes, more: 1 }))
      const answer = decode((await client.next()) as Buffer) as { body: Uint8Array }
      t.same({ ...answer, body: 0 }, { event: 'got', size: bytes.length, body: 0 })
      t.ok(Buffer.from(answer.body).equals(Buffer.from(bytes)))
      t.same(decode((await client.next()) as Buffer), { event: 'gone' })
    }
    t.ok(
      states.every((state) => 'secret' in state),
      "the handler's objects are not changed"
    )
  }
)

void t.test('every kind of send schema strips other properties, with any codec', async (t) => {
  const A = Type.Object({
    a: Type.String(),
    deep: Type.Optional(Type.Object({ x: Type.Integer() }))
  })
  const B = Type.Object({ b: Type.String() })
  const cases: Record<string, [send: object, message: object, sent: object]> = {
    object: [A, { a: 'a', secret: 1, deep: { x: 1, secret: 1 } }, { a: 'a', deep: { x: 1 } }],
    'list of objects': [
      Type.Object({ list: Type.Array(B) }),
      { list: [{ b: '1', secret: 1 }, { b: '2' }] },
      { list: [{ b: '1' }, { b: '2' }] }
    ],
    'plain union, first': [Type.Union([A, B]), { a: 'a', secret: 1 }, { a: 'a' }],
    'plain union, second': [Type.Union([A, B]), { b: 'b', secret: 1 }, { b: 'b' }],
    'union in a union': [
      Type.Union([Type.Union([Put, Gone]), B]),
      { b: 'b', secret: 1 },
      { b: 'b' }
    ],
    record: [Type.Record(Type.String(), B), { k: { b: 'b', secret: 1 } }, { k: { b: 'b' } }],
    'shared schema': [{ $ref: 'shared#' }, { a: 'a', secret: 1 }, { a: 'a' }],
    'union in a property': [
      Type.Object({ of: Type.Union([A, B]) }),
      { of: { b: 'b', secret: 1 } },
      { of: { b: 'b' } }
    ],
    'union in a property, by a field': [
      Type.Object({
        of: Type.Union([
          Gone,
          Type.Object({ event: Type.Literal('put'), s: Type.Optional(Type.String()) })
        ])
      }),
      { of: { event: 'put', s: 's', secret: 1 } },
      { of: { event: 'put', s: 's' } }
    ],
    intersection: [
      Type.Intersect([Type.Object({ a: Type.String() }), B]),
      { a: 'a', b: 'b', secret: 1 },
      { a: 'a', b: 'b' }
    ],
    'no schema for the type': [typed<object>(), { kept: 1 }, { kept: 1 }]
  }
  for (const [name, [send, message, sent]] of Object.entries(cases)) {
    for (const codec of [messagePack, undefined]) {
      const server = await startServer(t, (app) => {
        app.addSchema({ $id: 'shared', ...A })
        app.get('/', {
          websocketOptions: codec === undefined ? {} : { codec },
          schema: { websocket: { send } },
          websocketHandler: {
            handleIn: (_message: unknown, _state: unknown, ws: Push) => ws.push(message)
          }
        } as never)
      })
      const before = structuredClone(message)
      const client = await connect(t, server.url('/'))
      client.send(codec === undefined ? 'go' : Buffer.from([1]))
      const answer = await client.next().catch(String)
      t.same(
        Buffer.isBuffer(answer)
          ? decode(answer)
          : answer.startsWith('{')
            ? JSON.parse(answer)
            : answer,
        sent,
        `${name} with ${codec === undefined ? 'JSON' : 'MessagePack'}`
      )
      t.same(message, before)
    }
  }
})

void t.test('messages that a codec or schema refuses close with 1007, 1008 or 1011', async (t) => {
  const errors: unknown[] = []
  const server = await startServer(t, (app: App) => {
    const broken: Record<string, BinaryCodec | TextCodec> = {
      '/': messagePack,
      '/throws': { ...messagePack, encode: () => { throw new RangeError('too much') } },
      '/string': { ...messagePack, encode: () => 'text' as never },
      '/promise': { ...messagePack, encode: () => Promise.resolve() as never },
      '/bytes': { opcode: 'text', decode: (data) => data, encode: () => new Uint8Array(1) as never }
    }
    for (const [path, codec] of Object.entries(broken)) {
      app.get(path, {
        websocketOptions: { codec },
        schema: { websocket: { receive: Type.Any(), send: Type.Any() } },
        websocketHandler: {
          handleIn: (message, _state, ws) => ws.push([message]),
          terminate: (reason) => {
            if (reason.type === 'error') errors.push((reason.error as { code?: string }).code)
          }
        }
      })
    }
    app.get('/put', {
      websocketOptions: { codec: messagePack },
      schema: { websocket: { receive: Put } },
      websocketHandler: { handleIn () {} }
    })
  })
  const cases: Array<[path: string, frame: string | Uint8Array, code: number, error: string]> = [
    ['/', 'text', 1007, 'FST_WEBSOCK_INVALID_MESSAGE'],
    ['/', Buffer.from([0xc1]), 1007, 'FST_WEBSOCK_INVALID_MESSAGE'],
    ['/', Buffer.alloc(0), 1007, 'FST_WEBSOCK_INVALID_MESSAGE'],
    ['/put', encode({ event: 'put' }), 1008, 'FST_WEBSOCK_INVALID_MESSAGE'],
    ['/throws', encode(1), 1011, 'FST_WEBSOCK_UNSENDABLE'],
    ['/string', encode(1), 1011, 'FST_WEBSOCK_UNSENDABLE'],
    ['/promise', encode(1), 1011, 'FST_WEBSOCK_UNSENDABLE'],
    ['/bytes', 'text', 1011, 'FST_WEBSOCK_UNSENDABLE']
  ]
  for (const [path, frame, code, error] of cases) {
    errors.length = 0
    const client = await connect(t, server.url(path))
    client.send(frame)
    t.equal((await client.closed).code, code, path)
    t.same(client.received, [], path)
    if (path !== '/put') t.same(errors, [error], path)
  }
})

void t.test('the codec of the plugin is for all routes without their own', async (t) => {
  const lines: TextCodec = {
    opcode: 'text',
    decode: (text) => text.split(' '),
    encode: (message) => (message as string[]).join(' ')
  }
  const server = await startServer(t, (app) => {
    const schema = {
      websocket: { receive: Type.Array(Type.String()), send: Type.Array(Type.String()) }
    }
    const websocketHandler = {
      handleIn: (message: string[], _state: undefined, ws: Push) =>
        ws.push([message.toReversed()])
    }
    app.get('/', { schema, websocketHandler })
    app.get('/own', { schema, websocketHandler, websocketOptions: { codec: messagePack } })
    app.get('/raw', { websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) } })
  }, { websock: { codec: lines } })
  const client = await connect(t, server.url('/'))
  client.send('a b c')
  t.equal(await client.next(), 'c b a')
  const own = await connect(t, server.url('/own'))
  own.send(encode(['a', 'b']))
  t.same(decode(await own.next() as Buffer), ['b', 'a'])
  const raw = await connect(t, server.url('/raw'))
  raw.send('as it is')
  t.equal(await raw.next(), 'as it is', 'without a schema no codec is used')
})

void t.test('zod schemas strip other properties with a binary codec too', async (t) => {
  const server = await startServer(t, (app) => {
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.withTypeProvider<ZodTypeProvider>().get('/', {
      websocketOptions: { codec: messagePack },
      schema: {
        websocket: {
          receive: z.object({ n: z.number() }),
          send: z.object({ n: z.number(), body: z.instanceof(Uint8Array) })
        }
      },
      websocketHandler: {
        handleIn: ({ n }, _state, ws) =>
          ws.push({
            n,
            body: n === 2 ? ('no bytes' as never) : Uint8Array.of(n),
            secret: true
          } as never)
      }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send(encode({ n: 1 }))
  t.same(decode(await client.next() as Buffer), { n: 1, body: Uint8Array.of(1) })
  client.send(encode({ n: 2 }))
  t.equal((await client.closed).code, 1011, 'a message that does not match cannot be sent')
})
