import Fastify from 'fastify'
import websock, { topic, typed } from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const send = Type.Object({ event: Type.Literal('said'), text: Type.String() })
const schema = { websocket: { send, info: typed<{ tick: number }>() } }
const ticks = topic<{ Message: { count: number } }>('ticks')

app.get('/', { schema, websocketHandler: { init: (_args, ws) => ws.subscribe(ticks) } })

/*
12:78 Argument of type 'Topic<{ count: number; }, never>' is not assignable to parameter of type 'string | Topic<{ event: "said"; text: string; }, { tick: number; }>'.
  Type 'Topic<{ count: number; }, never>' is not assignable to type 'Topic<{ event: "said"; text: string; }, { tick: number; }>'.
    Type '{ count: number; }' is missing the following properties from type '{ event: "said"; text: string; }': event, text
*/
