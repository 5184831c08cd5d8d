/* Routes that are declared outside of an app, and what can be read off them. */
import Fastify from 'fastify'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  defineWebsocketRoute,
  typed,
  withTypeProvider,
  type ContractOf,
  type RawMessage,
  type RawSend,
  type SchemaContract
} from '../../src/index.ts'
import { expectType, same } from './expect.ts'

const { defineWebsocketRoute: define } = withTypeProvider<TypeBoxTypeProvider>()
const chatSchema = {
  params: Type.Object({ room: Type.String() }),
  querystring: Type.Object({ since: Type.Integer() }),
  websocket: {
    receive: Type.Union([
      Type.Object({ event: Type.Literal('say'), text: Type.String() }),
      Type.Object({ event: Type.Literal('leave') })
    ]),
    send: Type.Object({ event: Type.Literal('said'), text: Type.String() }),
    info: typed<{ said: string }>()
  }
}
const chat = define({
  schema: chatSchema,
  websocketOptions: { subprotocols: ['chat'], heartbeatIntervalMs: 0 },
  websocketHandler: {
    init ({ params, query }, ws) {
      expectType<{ room: string }>()(params)
      expectType<{ since: number }>()(query)
      return ws.ok({ room: params.room })
    },
    on: {
      event: {
        say (message, state, ws) {
          expectType<{ room: string }>()(state)
          return ws.push({ event: 'said', text: message.text })
        },
        leave: (_message, _state, ws) => ws.stop()
      }
    },
    handleInfo (info, _state, ws) { return ws.push({ event: 'said', text: info.said }) }
  }
})

// Each way to mount it, and the state stays its own.
const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
app.get('/chat/:room', chat)
app.route({ method: 'GET', url: '/chat/:room', ...chat })
app.route({ method: 'get', url: '/chat/:room', ...chat })
app.get('/chat/:room', { ...chat, onRequest: async () => {}, websocketOptions: { compress: true } })
// Also where another provider is spoken, or none: its types are its own.
Fastify().get('/chat/:room', chat)
Fastify().withTypeProvider<ZodTypeProvider>().get('/chat/:room', chat)
Fastify().withTypeProvider<JsonSchemaToTsProvider>().get('/chat/:room', {
  ...chat,
  onRequest: async () => {}
})
Fastify().withTypeProvider<ZodTypeProvider>().route({
  method: 'GET',
  url: '/chat/:room',
  ...chat,
  preHandler: [async () => {}]
})
Fastify({ https: {} }).get('/chat/:room', chat)
// @ts-expect-error -- an upgrade is a GET
Fastify().route({ method: 'POST', url: '/chat/:room', ...chat })
// @ts-expect-error -- a hook is a function
Fastify().get('/chat/:room', { ...chat, onRequest: 'auth' })
// @ts-expect-error -- no such option
Fastify().get('/chat/:room', { ...chat, websocketOptions: { heartbeat: 1 } })

export const hooked = { ...chat, onRequest: async () => {} }

// The contract, from the route and from the bare schema.
interface Expected {
  readonly Params: { room: string }
  readonly Querystring: { since: number }
  readonly Receive: { event: 'say', text: string } | { event: 'leave' }
  readonly Send: { event: 'said', text: string }
  readonly Info: { said: string }
}
type FromRoute = ContractOf<typeof chat>
type FromSchema = SchemaContract<TypeBoxTypeProvider, typeof chatSchema>
same<{ [K in keyof FromRoute]: FromRoute[K] }, { [K in keyof Expected]: Expected[K] }>(true)
same<{ [K in keyof FromSchema]: FromSchema[K] }, { [K in keyof Expected]: Expected[K] }>(true)
same<ContractOf<{ schema: object }>, never>(true)
same<ContractOf<typeof hooked>, FromRoute>(true)

// The schema inline, as in the route itself.
define({
  schema: { websocket: { receive: Type.Number(), send: Type.String() } },
  websocketHandler: {
    init: (_args, ws) => ws.ok(1),
    handleIn (message, state, ws) {
      expectType<number>()(message)
      expectType<number>()(state)
      // @ts-expect-error -- strings are sent
      if (state > 1) return ws.push(message)
      return ws.push('x', state + 1)
    }
  }
})
// @ts-expect-error -- a mistake in an option is found here
define({ schema: {}, websocketOptions: { heartbeat: 1 }, websocketHandler: {} })
// @ts-expect-error -- and one in the name of a callback
define({ schema: {}, websocketHandler: { onMessage () {} } })

// No provider, JSON Schema, zod.
const raw = defineWebsocketRoute({
  schema: {},
  websocketHandler: {
    handleIn (message, _state, ws) {
      expectType<RawMessage>()(message)
      return ws.push(message)
    }
  }
})
Fastify().get('/raw', raw)
withTypeProvider<JsonSchemaToTsProvider>().defineWebsocketRoute({
  schema: {
    websocket: {
      receive: {
        type: 'object',
        properties: { a: { type: 'integer' } },
        required: ['a'],
        additionalProperties: false
      }
    }
  },
  websocketHandler: { handleIn (message) { expectType<{ a: number }>()(message) } }
})
// A schema that transforms has two sides: the handler's and the client's.
export const zodRoute = withTypeProvider<ZodTypeProvider>().defineWebsocketRoute({
  schema: {
    querystring: z.object({ page: z.coerce.number<string>() }),
    websocket: {
      receive: z.object({ a: z.string().transform(Number) }),
      send: z.object({
        at: z.codec(z.iso.datetime(), z.date(), {
          decode: (text) => new Date(text),
          encode: (date) => date.toISOString()
        })
      })
    }
  },
  websocketHandler: {
    init ({ query }) { expectType<number>()(query.page) },
    handleIn (message, _state, ws) {
      expectType<{ a: number }>()(message)
      // @ts-expect-error -- the date, not its text
      if (message.a === 0) return ws.push({ at: '2026-01-01T00:00:00Z' })
      return ws.push({ at: new Date(message.a) })
    }
  }
})
type ZodContract = ContractOf<typeof zodRoute>
same<ZodContract['Querystring'], { page: string }>(true)
same<ZodContract['Receive'], { a: string }>(true)
same<ZodContract['Send'], { at: string }>(true)
same<ContractOf<typeof raw>['Receive'], RawMessage>(true)
same<ContractOf<typeof raw>['Send'], RawSend>(true)

// What a client takes: a plain object type.
declare function connect<C extends { Receive: unknown, Send: unknown }> (): {
  send: (message: C['Receive']) => void
  next: () => C['Send']
}
connect<FromRoute>().send({ event: 'say', text: 'hi' })
expectType<string>()(connect<ZodContract>().next().at)
// @ts-expect-error -- the client sends the text of the number
connect<ZodContract>().send({ a: 1 })
