import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })

app.get('/', {
  schema: { websocket: { send } },
  websocketHandler: {
    handleInfo: (info, _state, ws) => ws.push({ event: 'said', text: info.text })
  }
})

/*
13:70 'info' is of type 'unknown'.
*/
