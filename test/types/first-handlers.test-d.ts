import Fastify from 'fastify'
import { Type } from 'typebox'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import websock, { type WebsocketHandler } from '../../src/index.ts'

// What new users write and what is to compile. What is not to compile: mistakes/.

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
void app.register(websock)
const receive = Type.Union([
  Type.Object({ event: Type.Literal('say'), text: Type.String() }),
  Type.Object({ event: Type.Literal('leave') })
])
const send = Type.Object({
  event: Type.Literal('said'),
  text: Type.String(),
  n: Type.Optional(Type.Number())
})
const schema = { websocket: { receive, send } }

// One callback for each event, and the state of init.
app.get('/events', {
  schema,
  websocketHandler: {
    init: (_args, ws) => ws.ok({ n: 0 }),
    on: {
      event: {
        say: ({ text }, state, ws) =>
          ws.push({ event: 'said', text, n: state.n }, { n: state.n + 1 }),
        leave: (_message, _state, ws) => ws.stop()
      }
    }
  }
})

// An init that waits.
app.get('/async-init', {
  schema,
  websocketHandler: {
    async init (_args, ws) {
      await Promise.resolve()
      return ws.ok({ n: 0 })
    },
    handleIn: (_message, state, ws) => ws.push({ event: 'said', text: '', n: state.n })
  }
})

// A message is sent at once, and nothing is returned.
app.get('/send', {
  schema,
  websocketHandler: {
    init: (_args, ws) => ws.ok({ n: 0 }),
    handleIn (_message, _state, ws) {
      ws.send({ event: 'said', text: 'x' })
    }
  }
})

// A push that is not returned: types cannot tell, the log does.
app.get('/not-returned', {
  schema,
  websocketHandler: {
    handleIn (_message, _state, ws) {
      ws.push({ event: 'said', text: '' })
    }
  }
})

// A branch without a return.
app.get('/branch', {
  websocketHandler: {
    handleIn (message, _state, ws) {
      if (message.opcode === 'text') return ws.push(message.data)
    }
  }
})

// A topic that is a string takes any message and any info.
app.get('/topic', {
  schema,
  websocketHandler: {
    handleIn () {
      app.websock.broadcast('room', { evnt: 'sad' })
      app.websock.publish('room', 5)
    }
  }
})

// A handler by its types, apart from its route.
const handler: WebsocketHandler<{
  Receive: { event: 'say', text: string }
  Send: { event: 'said' }
  State: { n: number }
}> = {
  init: (_args, ws) => ws.ok({ n: 0 }),
  handleIn: (_message, state, ws) => ws.push({ event: 'said' }, { n: state.n + 1 })
}
app.get<{ Receive: { event: 'say', text: string }, Send: { event: 'said' }, State: { n: number } }>(
  '/apart', { websocketHandler: handler }
)
