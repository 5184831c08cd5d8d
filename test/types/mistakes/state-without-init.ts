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
    handleIn: (_message, state, ws) => ws.push({ event: 'said', text: state.nick })
  }
})

/*
17:77 Property 'nick' does not exist on type 'NoStateFromInitAbove'.
*/
