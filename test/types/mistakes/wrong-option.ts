import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)

app.get('/', {
  websocketOptions: { rateLimits: 1 },
  websocketHandler: {
    handleIn: () => {}
  }
})

/*
10:23 No overload matches this call.
  The last overload gave the following error.
    Object literal may only specify known properties, but 'rateLimits' does not exist in type 'WebsocketOptions'. Did you mean to write 'rateLimit'?
*/
