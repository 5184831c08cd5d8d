import { withTypeProvider } from 'fastify-websock'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

// What blocks of the pages import from './server.js'.

const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()
const ref = Type.Optional(Type.String())

export const chatRoute = defineWebsocketRoute({
  schema: {
    websocket: {
      receive: Type.Union([
        Type.Object({ event: Type.Literal('say'), text: Type.String() }),
        Type.Object({ event: Type.Literal('list'), ref })
      ]),
      send: Type.Union([
        Type.Object({ event: Type.Literal('said'), from: Type.String(), text: Type.String() }),
        Type.Object({ event: Type.Literal('here'), nicks: Type.Array(Type.String()), ref })
      ])
    }
  },
  websocketHandler: {
    on: {
      event: {
        say: ({ text }, _state, ws) => ws.push({ event: 'said', from: ws.id, text }),
        list: ({ ref }, _state, ws) =>
          ws.push({ event: 'here', nicks: [], ...(ref === undefined ? {} : { ref }) })
      }
    }
  }
})
