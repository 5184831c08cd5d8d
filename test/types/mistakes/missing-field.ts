import Fastify from 'fastify'
import websock from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
await app.register(websock)
const send = Type.Union([
  Type.Object({ event: Type.Literal('outbid'), by: Type.String(), cents: Type.Integer() }),
  Type.Object({ event: Type.Literal('ended'), winner: Type.String() })
])

app.get('/', {
  schema: { websocket: { send } },
  websocketHandler: {
    handleIn: (_message, _state, ws) => ws.push({ event: 'outbid', by: 'ann' })
  }
})

/*
16:49 Argument of type '{ event: "outbid"; by: string; }' is not assignable to parameter of type 'Messages<{ event: "outbid"; by: string; cents: number; } | { event: "ended"; winner: string; }>'.
  Type '{ event: "outbid"; by: string; }' is not assignable to type '{ event: "outbid"; by: string; cents: number; } | readonly (PingFrame | { event: "outbid"; by: string; cents: number; } | { event: "ended"; winner: string; })[] | (PingFrame & PingOf<{ ...; } | { ...; }>)'.
    Property 'cents' is missing in type '{ event: "outbid"; by: string; }' but required in type '{ event: "outbid"; by: string; cents: number; }'.
*/
