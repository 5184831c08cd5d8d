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
  schema: { querystring: Type.Object({ nick: Type.Optional(Type.String()) }), websocket: { receive, send } },
  websocketHandler: {
    init: ({ query }, ws) => ws.ok({ nick: query.nick }),
    handleIn: (_message, state, ws) => ws.push({ event: 'said', text: state.nick })
  }
})

/*
18:65 Type 'string | undefined' is not assignable to type 'string'.
  Type 'undefined' is not assignable to type 'string'.
*/
