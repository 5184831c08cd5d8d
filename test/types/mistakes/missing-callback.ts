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
    on: {
      event: {
        leave: (_message, _state, ws) => ws.stop()
      }
    }
  }
})

/*
18:7 No overload matches this call.
  The last overload gave the following error.
    Property 'say' is missing in type '{ leave: (_message: NoInfer<{ event: "leave"; }>, _state: any, ws: NoInfer<Context<{ event: "said"; text: string; }, unknown, any>>) => Stop<any>; }' but required in type '{ readonly say: Callback<{ event: "say"; text: string; }, { event: "said"; text: string; }, unknown, any>; readonly leave: Callback<{ event: "leave"; }, { event: "said"; text: string; }, unknown, any>; }'.
*/
