import { withTypeProvider } from 'fastify-websock'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()
const receive = Type.Union([
  Type.Object({ event: Type.Literal('say'), text: Type.String() }),
  Type.Object({ event: Type.Literal('leave') })
])

export const route = defineWebsocketRoute({
  schema: { websocket: { receive } },
  websocketHandler: {
    on: {
      event: {
        leave: (_message, _state, ws) => ws.stop()
      }
    }
  }
})

/*
13:3 Type '{ on: { event: { leave: (_message: NoInfer<{ event: "leave"; }>, _state: NoStateFromInitAbove, ws: NoInfer<Context<RawSend, unknown, NoStateFromInitAbove>>) => Stop<...>; }; }; }' is not assignable to type 'WebsocketRouteHandler<TypeBoxTypeProvider, NoInfer<{ readonly websocket: { readonly receive: TUnion<[TObject<{ event: TLiteral<"say">; text: TString; }>, TObject<{ event: TLiteral<"leave">; }>]>; }; }>, {}, NoStateFromInitAbove>'.
  Type '{ on: { event: { leave: (_message: NoInfer<{ event: "leave"; }>, _state: NoStateFromInitAbove, ws: NoInfer<Context<RawSend, unknown, NoStateFromInitAbove>>) => Stop<...>; }; }; }' is not assignable to type 'HandlerWithOn<unknown, unknown, IncomingHttpHeaders, { event: "say"; text: string; } | { event: "leave"; }, RawSend, unknown, NoStateFromInitAbove>'.
    The types of 'on.event' are incompatible between these types.
      Property 'say' is missing in type '{ leave: (_message: NoInfer<{ event: "leave"; }>, _state: NoStateFromInitAbove, ws: NoInfer<Context<RawSend, unknown, NoStateFromInitAbove>>) => Stop<...>; }' but required in type '{ readonly say: Callback<{ event: "say"; text: string; }, RawSend, unknown, NoStateFromInitAbove>; readonly leave: Callback<{ event: "leave"; }, RawSend, unknown, NoStateFromInitAbove>; }'.
*/
