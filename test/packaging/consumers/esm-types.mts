import Fastify from 'fastify'
import type { TerminateReason, WebsocketHandlerObject } from 'fastify-websock'
import { exchange } from './exchange.cjs'

// The plugin is imported at run time only. The types come from the type import above.
const app = Fastify()
const { typed, websock } = (await import('fastify-websock')).default
await app.register(websock)
const reasons: TerminateReason[] = []
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
void (undefined as
  WebsocketHandlerObject<unknown, unknown, unknown, string, string, unknown, undefined> | undefined)
void reasons
await exchange(app)
