import Fastify from 'fastify'
import websock, { typed, websock as named, type WebsockOptions } from 'fastify-websock'
import { exchange } from './exchange.cjs'

async function main (): Promise<void> {
  if (named !== websock) throw new Error('the default export is another plugin')
  const app = Fastify()
  const options: WebsockOptions = { compress: true }
  await app.register(websock, options)
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
}

void main()
