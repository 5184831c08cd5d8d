import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)

app.get('/', {
  schema: { websocket: { recieve: Type.String() } },
  websocketHandler: {
    handleIn: () => {}
  }
})

/*
10:26 No overload matches this call.
  The last overload gave the following error.
    Object literal may only specify known properties, but 'recieve' does not exist in type '{ receive?: unknown; send?: unknown; info?: unknown; }'. Did you mean to write 'receive'?
*/
