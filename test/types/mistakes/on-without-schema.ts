import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)

app.get('/', {
  websocketHandler: {
    on: {
      event: {
        say: () => {}
      }
    }
  }
})

/*
12:7 No overload matches this call.
  The last overload gave the following error.
    Object literal may only specify known properties, and 'event' does not exist in type 'FullEventMap<RawMessage, RawSend, unknown, any>'.
*/
