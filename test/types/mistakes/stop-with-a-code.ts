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
    handleIn: (_message, _state, ws) => ws.stop(4001, 'kicked')
  }
})

/*
17:49 Argument of type '4001' is not assignable to parameter of type 'StopReason | undefined'.
*/
