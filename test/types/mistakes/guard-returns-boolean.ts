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
    init: (_args, ws) => ws.ok({ admin: false }),
    guard: (_message, state) => state.admin,
    handleIn: (_message, _state, ws) => ws.push({ event: 'said', text: 'x' })
  }
})

/*
18:5 No overload matches this call.
  The last overload gave the following error.
    Type '(_message: NoInfer<{ event: "say"; text: string; } | { event: "leave"; }>, state: { admin: boolean; }) => boolean' is not assignable to type 'Callback<{ event: "say"; text: string; } | { event: "leave"; }, { event: "said"; text: string; }, unknown, any>'.
      Type 'boolean' is not assignable to type 'CallbackResult<any>'.
*/
