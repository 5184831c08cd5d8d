/* What a route's schemas give to its callbacks, with each type provider and without one. */
import type { IncomingHttpHeaders } from 'node:http'
import Fastify, { type FastifyPluginAsync, type FastifyRequest } from 'fastify'
import type { JsonSchemaToTsProvider } from '@fastify/type-provider-json-schema-to-ts'
import {
  Type,
  type FastifyPluginAsyncTypebox,
  type TypeBoxTypeProvider
} from '@fastify/type-provider-typebox'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import websock, {
  pingFrame,
  typed,
  type ControlFrame,
  type InvalidMessage,
  type RawMessage,
  type TerminateReason,
  type Websock,
  type WebsocketRef,
  type WebsocketTimer
} from '../../src/index.ts'
import { expectType, same } from './expect.ts'

interface Say { event: 'say', text: string }
interface Leave { event: 'leave' }
interface Tick { tick: number }

// ── TypeBox
const typebox = Fastify().withTypeProvider<TypeBoxTypeProvider>()
typebox.get('/rooms/:room', {
  schema: {
    params: Type.Object({ room: Type.String() }),
    querystring: Type.Object({ since: Type.Optional(Type.Integer({ minimum: 0 })) }),
    headers: Type.Object({ 'X-Trace': Type.String() }),
    websocket: {
      receive: Type.Union([
        Type.Object({ event: Type.Literal('say'), text: Type.String() }),
        Type.Object({ event: Type.Literal('leave') })
      ]),
      send: Type.Union([
        Type.Object({ event: Type.Literal('said'), text: Type.String() }),
        Type.Object({ event: Type.Literal('count'), count: Type.Integer() })
      ]),
      info: Type.Object({ tick: Type.Integer() })
    }
  },
  websocketHandler: {
    init ({ params, query, headers, request }, ws) {
      expectType<{ room: string }>()(params)
      expectType<{ since?: number }>()(query)
      expectType<string>()(headers['x-trace'])
      expectType<string | undefined>()(headers.origin)
      expectType<FastifyRequest>()(request)
      expectType<string>()(ws.id)
      expectType<AbortSignal>()(ws.signal)
      expectType<string | null>()(ws.subprotocol)
      expectType<number>()(ws.bufferedBytes)
      expectType<WebsocketRef<Tick>>()(ws.ref)
      return ws.ok({ room: params.room, timer: ws.postInterval({ tick: 1 }, 1000) })
    },
    async guard (message, state, ws) {
      expectType<Say | Leave>()(message)
      expectType<WebsocketTimer>()(state.timer)
      if (message.event === 'say' && message.text === '') {
        return ws.push({
          event: 'count',
          count: 0
        })
      }
      if (message.event === 'leave') return ws.stop('normal', 4000)
      return ws.ok({ ...state, room: 'other' })
    },
    on: {
      event: {
        say (message, state, ws) {
          expectType<Say>()(message)
          expectType<WebsocketTimer>()(state.timer)
          return ws.push([
            { event: 'said', text: message.text },
            pingFrame('x'),
            { event: 'count', count: 1 }
          ])
        },
        async leave (message) { expectType<Leave>()(message) }
      }
    },
    handleIn (message, _state, ws) {
      expectType<Say | Leave>()(message)
      if (message.event === 'leave') {
        return ws.stop(
          'restart',
          [3000, 'bye'],
          { event: 'count', count: 0 }
        )
      }
      return ws.push({ event: 'said', text: message.text })
    },
    handleInfo (info) { expectType<Tick>()(info) },
    handleControl (frame) { expectType<ControlFrame>()(frame) },
    handleInvalid (problem) { expectType<InvalidMessage>()(problem) },
    terminate (reason) {
      expectType<TerminateReason>()(reason)
      if (reason.type === 'remote') same<typeof reason.code, number>(true)
      if (reason.type === 'error') same<typeof reason.error, unknown>(true)
    }
  }
})

// Two fields may tell messages apart; each is offered.
typebox.get('/two', {
  schema: {
    websocket: {
      receive: Type.Union([
        Type.Object({ a: Type.Literal('x'), b: Type.Literal('p') }),
        Type.Object({ a: Type.Literal('y'), b: Type.Literal('q') })
      ])
    }
  },
  websocketHandler: {
    on: {
      a: { x (m) { expectType<{ a: 'x', b: 'p' }>()(m) } },
      b: { q (m) { expectType<{ a: 'y', b: 'q' }>()(m) } }
    },
    handleIn () {}
  }
})

// A list as message is pushed in the list form only.
typebox.get('/lists', {
  schema: { websocket: { send: Type.Array(Type.Integer()) } },
  websocketHandler: {
    handleIn (_message, _state, ws) {
      // @ts-expect-error -- would be two messages, 1 and 2
      if (ws.id === '') return ws.push([1, 2])
      return ws.push([[1, 2]])
    }
  }
})

// ── JSON Schema
const jsonSchema = Fastify().withTypeProvider<JsonSchemaToTsProvider>()
jsonSchema.get('/:id', {
  schema: {
    params: {
      type: 'object',
      properties: { id: { type: 'string' } },
      required: ['id'],
      additionalProperties: false
    },
    querystring: {
      type: 'object',
      properties: { since: { type: 'integer' } },
      additionalProperties: false
    },
    websocket: {
      receive: {
        oneOf: [
          {
            type: 'object',
            properties: { event: { const: 'say' }, text: { type: 'string' } },
            required: ['event', 'text'],
            additionalProperties: false
          },
          {
            type: 'object',
            properties: { event: { const: 'leave' } },
            required: ['event'],
            additionalProperties: false
          }
        ]
      },
      send: {
        type: 'object',
        properties: { count: { type: 'integer' } },
        required: ['count'],
        additionalProperties: false
      },
      info: typed<Tick>()
    }
  },
  websocketHandler: {
    init ({ params, query }, ws) {
      expectType<{ id: string }>()(params)
      expectType<{ since?: number }>()(query)
      return ws.ok({ id: params.id })
    },
    on: {
      event: {
        say (message, state, ws) {
          expectType<string>()(message.text)
          expectType<string>()(state.id)
          return ws.push({ count: 1 })
        },
        leave () {}
      }
    },
    handleInfo (info, _state, ws) {
      expectType<Tick>()(info)
      // @ts-expect-error -- `count` is an integer
      return ws.push({ count: '1' })
    }
  }
})

// ── zod
const zod = Fastify().withTypeProvider<ZodTypeProvider>()
zod.get('/:id', {
  schema: {
    params: z.object({ id: z.coerce.number() }),
    websocket: {
      receive: z.discriminatedUnion('event', [
        z.object({ event: z.literal('say'), text: z.string() }),
        z.object({ event: z.literal('leave') })
      ]),
      send: z.object({ count: z.number() })
    }
  },
  websocketHandler: {
    init: ({ params }, ws) => ws.ok(params),
    on: {
      event: {
        say (message, state, ws) {
          expectType<Say>()(message)
          expectType<{ id: number }>()(state)
          return ws.push({ count: state.id })
        }
      }
    },
    handleIn (message, _state, ws) {
      expectType<Say | Leave>()(message)
      // @ts-expect-error -- `count` is a number
      return ws.push({ count: '1' })
    }
  }
})

// ── no type provider: raw messages, or types without a schema, or generics
const plain = Fastify()
plain.get('/raw', {
  websocketHandler: {
    init ({ params, headers }, ws) {
      expectType<unknown>()(params)
      expectType<IncomingHttpHeaders>()(headers)
      expectType<string | undefined>()(headers.origin)
      return ws.push(['text', Buffer.of(1), { opcode: 'binary', data: Buffer.of(2) }], { n: 1 })
    },
    handleIn (message, state, ws) {
      expectType<RawMessage>()(message)
      expectType<{ n: number }>()(state)
      return ws.push(message)
    }
  }
})
plain.get('/typed', {
  schema: { websocket: { receive: typed<Say | Leave>(), send: typed<Say>(), info: typed<Tick>() } },
  websocketHandler: {
    on: {
      event: {
        say: (message, _state, ws) => ws.push(message),
        leave: (_message, _state, ws) => ws.stop()
      }
    },
    handleInfo (info) { expectType<Tick>()(info) }
  }
})
// In one bag with Fastify's own, or without any of those.
plain.get<{ Receive: Say, Send: Say, State: { n: number } }>('/generics', {
  websocketHandler: {
    init: (_args, ws) => ws.ok({ n: 1 }),
    on: { event: { say: (message, state, ws) => ws.push(message, { n: state.n + 1 }) } }
  }
})
plain.get<{
  Params: { id: string }
  Querystring: { q: number }
  Receive: Say | Leave
  Send: Say
  Info: Tick
  State: { n: number }
}>('/generics/:id', {
  websocketHandler: {
    init ({ params, query }, ws) {
      expectType<{ id: string }>()(params)
      expectType<{ q: number }>()(query)
      return ws.ok({ n: 1 })
    },
    on: {
      event: {
        say: (message, _state, ws) => ws.push(message),
        leave: (_message, _state, ws) => ws.stop()
      }
    },
    handleInfo (info, state) { expectType<Tick>()(info); expectType<{ n: number }>()(state) }
  }
})

// ── in plugins, and beside plain handlers
const inTypebox: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/inner', {
    schema: { querystring: Type.Object({ n: Type.Integer() }) },
    handler (request) { expectType<number>()(request.query.n) },
    websocketHandler: {
      init: ({ query }, ws) => ws.ok(query.n),
      terminate (_reason, state) { expectType<number>()(state) }
    }
  })
}
const inPlain: FastifyPluginAsync = async (app) => {
  expectType<Websock>()(app.websock)
  app.get('/http', async (request) => { expectType<unknown>()(request.query); return '' })
}
void typebox.register(inTypebox, { prefix: '/a' })
void typebox.register(inPlain)
void typebox.register(async (app) => {
  app.withTypeProvider<TypeBoxTypeProvider>().get('/b', {
    websocketHandler: { handleIn: (message) => expectType<RawMessage>()(message) }
  })
})
void typebox.register(websock)
void typebox.register(websock, { maxMessageBytes: 1, prefix: '/x' })
void typebox.register(websock, () => ({ compress: true }))
