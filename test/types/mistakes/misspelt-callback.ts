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
    handleMessage: () => {}
  }
})

/*
17:5 No overload matches this call.
  The last overload gave the following error.
    Object literal may only specify known properties, and 'handleMessage' does not exist in type 'WebsocketRouteHandler<TypeBoxTypeProvider, NoInfer<{ readonly websocket: { readonly receive: TUnion<[TObject<{ event: TLiteral<"say">; text: TString; }>, TObject<{ event: TLiteral<"leave">; }>]>; readonly send: TObject<...>; }; }>, RouteGenericInterface, any>'.
*/
