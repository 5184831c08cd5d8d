import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)

app.get('/', {
  schema: { websocket: { receive: Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.Number() })]) } },
  websocketHandler: {
    on: {
      a: {
        x: () => {}
      }
    }
  }
})

/*
13:7 No overload matches this call.
  The last overload gave the following error.
    Object literal may only specify known properties, and 'a' does not exist in type 'FullEventMap<{ a: string; } | { b: number; }, RawSend, unknown, any>'.
*/
