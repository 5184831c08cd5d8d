import Fastify from 'fastify'
import websock from 'fastify-websock'
import { exchange } from './exchange.cjs'

const { typed } = websock
const app = Fastify()
// @ts-expect-error -- no such option
void (() => app.register(websock, { maxMessageByte: 1 }))
await app.register(websock, { maxMessageBytes: 1024 })
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
await exchange(app)
