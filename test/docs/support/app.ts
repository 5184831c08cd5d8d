import Fastify, { type FastifyInstance } from 'fastify'
import { withTypeProvider } from 'fastify-websock'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

// What blocks of the pages import from './app.js'.

const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()

export const route = defineWebsocketRoute({
  schema: {
    params: Type.Object({ room: Type.String() }),
    querystring: Type.Object({ nick: Type.String() }),
    websocket: {
      receive: Type.Object({ event: Type.Literal('say'), text: Type.String() }),
      send: Type.Object({ event: Type.String(), text: Type.String() })
    }
  },
  websocketHandler: {
    init: (_args, ws) => ws.ok({ said: 0 }),
    handleIn: ({ text }, { said }, ws) => ws.push({ event: 'said', text }, { said: said + 1 })
  }
})

export function buildApp (): FastifyInstance {
  return Fastify()
}

export const app = buildApp()
