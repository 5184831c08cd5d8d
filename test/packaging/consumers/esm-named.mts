import Fastify from 'fastify'
import {
  closeCodes,
  defineWebsocketRoute,
  pingFrame,
  typed,
  websock,
  withTypeProvider,
  type WebsocketHandler
} from 'fastify-websock'
import { exchange } from './exchange.cjs'

const app = Fastify()
await app.register(websock, { shutdownCode: closeCodes.goingAway })
app.get('/echo', {
  schema: { websocket: { receive: typed<string>(), send: typed<string>() } },
  websocketHandler: {
    init: (_args, ws) => ws.ok({ count: 0 }),
    handleIn (message, state, ws) {
      // @ts-expect-error -- the state is `{ count: number }`
      state.count satisfies string
      // @ts-expect-error -- only strings may be pushed
      if (state.count < 0) return ws.push(1)
      return ws.push(message.toUpperCase(), { count: state.count + 1 })
    }
  }
})
// @ts-expect-error -- an address is a string
void (() => app.websock.ref(1))
const handler: WebsocketHandler<{ Send: string; State: number }> = {
  init: (_args, ws) => ws.push([pingFrame('x'), 'y'], 1)
}
app.get(
  '/module',
  defineWebsocketRoute({
    schema: {},
    websocketHandler: { handleIn: (_message, _state, ws) => ws.push('raw') }
  })
)
void handler
void withTypeProvider
await exchange(app)
