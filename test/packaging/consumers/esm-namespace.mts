import Fastify from 'fastify'
import * as lib from 'fastify-websock'
import { exchange } from './exchange.cjs'

const { typed } = lib
const app = Fastify()
const options: lib.WebsockOptions = { compress: true }
await app.register(lib.default, options)
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
if (lib.websock !== lib.default || lib.closeCodes.normal !== 1000)
  throw new Error('the exports are not those of one module')
await exchange(app)
