import Fastify from 'fastify'
import websock from 'fastify-websock'

const app = Fastify()
await app.register(websock)

app.get('/', {
  websocketHandler (socket, request) {
    socket.on('message', () => {})
  }
})

/*
8:3 No overload matches this call.
  The last overload gave the following error.
    Type '(socket: any, request: any) => void' is not assignable to type 'WebsocketRouteHandler<FastifyTypeProviderDefault, NoInfer<FastifySchema>, RouteGenericInterface, any> | undefined'.
8:21 Parameter 'socket' implicitly has an 'any' type.
8:29 Parameter 'request' implicitly has an 'any' type.
*/
