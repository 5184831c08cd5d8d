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
    handleIn: (_message, _state, ws) => ws.push({ event: 'said', txt: 'x' })
  }
})

/*
17:66 Object literal may only specify known properties, and 'txt' does not exist in type 'Messages<{ event: "said"; text: string; }>'.
*/
