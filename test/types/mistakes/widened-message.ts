import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const said = (text: string) => ({ event: 'said', text })
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })

app.get('/', {
  schema: { websocket: { send } },
  websocketHandler: {
    init: (_args, ws) => ws.push(said('x'))
  }
})

/*
14:34 Argument of type '{ event: string; text: string; }' is not assignable to parameter of type 'Messages<{ event: "said"; text: string; }>'.
  Type '{ event: string; text: string; }' is not assignable to type '{ event: "said"; text: string; }'.
    Types of property 'event' are incompatible.
      Type 'string' is not assignable to type '"said"'.
*/
