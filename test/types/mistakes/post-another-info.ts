import Fastify from 'fastify'
import websock, { typed } from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })
const schema = { websocket: { send, info: typed<{ tick: number }>() } }

app.get('/', { schema, websocketHandler: { init: (_args, ws) => { ws.post('tock') } } })

/*
11:75 Argument of type 'string' is not assignable to parameter of type '{ tick: number; }'.
*/
