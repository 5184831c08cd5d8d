import Fastify from 'fastify'
import websock, { type WebsocketHandler } from 'fastify-websock'

const app = Fastify()
await app.register(websock)
interface Say { event: 'say', text: string }
const handler: WebsocketHandler<{ Receive: Say }> = { handleIn: () => {} }

app.get('/', { websocketHandler: handler })

/*
9:16 No overload matches this call.
  The last overload gave the following error.
    Type 'HandlerWithHandleIn<unknown, unknown, IncomingHttpHeaders, Say, RawSend, unknown, NoStateFromInitAbove>' is not assignable to type 'WebsocketRouteHandler<FastifyTypeProviderDefault, NoInfer<FastifySchema>, RouteGenericInterface, any> | undefined'.
      Type 'HandlerWithHandleIn<unknown, unknown, IncomingHttpHeaders, Say, RawSend, unknown, NoStateFromInitAbove>' is not assignable to type 'HandlerWithHandleIn<unknown, unknown, IncomingHttpHeaders, RawMessage, RawSend, unknown, any> | HandlerWithOn<unknown, unknown, IncomingHttpHeaders, RawMessage, RawSend, unknown, any>'.
        Type 'HandlerWithHandleIn<unknown, unknown, IncomingHttpHeaders, Say, RawSend, unknown, NoStateFromInitAbove>' is not assignable to type 'HandlerWithHandleIn<unknown, unknown, IncomingHttpHeaders, RawMessage, RawSend, unknown, any>'.
          Types of property 'handleIn' are incompatible.
            Type 'Callback<Say, RawSend, unknown, NoStateFromInitAbove>' is not assignable to type 'Callback<RawMessage, RawSend, unknown, any>'.
              Types of parameters 'input' and 'input' are incompatible.
                Type 'RawMessage' is not assignable to type 'Say'.
                  Type '{ readonly opcode: "text"; readonly data: string; }' is missing the following properties from type 'Say': event, text
*/
