import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const receive = Type.Union([
  Type.Object({ event: Type.Literal('say'), text: Type.String() }),
  Type.Object({ event: Type.Literal('leave') })
])
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })

app.get('/', {
  schema: { websocket: { receive, send } },
  websocketHandler: {
    guard: (message, _state, ws) => message.text === '' ? ws.stop() : undefined,
    on: {
      event: {
        say: ({ text }, _state, ws) => ws.push({ event: 'said', text }),
        leave: (_message, _state, ws) => ws.stop()
      }
    }
  }
})

/*
17:45 Property 'text' does not exist on type '{ event: "say"; text: string; } | { event: "leave"; }'.
  Property 'text' does not exist on type '{ event: "leave"; }'.
*/
