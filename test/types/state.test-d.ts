/* How State is inferred from `init`, and where it stops. */
import Fastify from 'fastify'
import { Type, type Static, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  CallbackResult,
  NoStateFromInitAbove,
  Result,
  WebsocketContext
} from '../../src/index.ts'
import { same } from './expect.ts'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const Msg = Type.Object({ event: Type.Literal('m'), list: Type.Array(Type.String()) })
type Message = Static<typeof Msg>
interface N { n: number }
interface Phased { phase: 'lobby' | 'game', user: string | null }
const schema = {
  params: Type.Object({ id: Type.String() }),
  websocket: { receive: Msg, send: Msg }
}

// 1 sync, async, arrow, method, function expression
app.get('/1a', {
  schema,
  websocketHandler: {
    init: (_a, { ok }) => ok({ n: 1 }),
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})
app.get('/1b', {
  schema,
  websocketHandler: {
    init: async (_a, { ok }) => ok({ n: 1 }),
    terminate: (_r, s) => { same<typeof s, { n: number }>(true) }
  }
})
app.get('/1c', {
  schema,
  websocketHandler: {
    async init (_a, { ok }) { await app.ready(); return ok({ n: 1 }) },
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})
app.get('/1d', {
  schema,
  websocketHandler: {
    init: function (_a, { ok }) { return ok({ n: 1 }) },
    terminate: async function (_r, s) { same<typeof s, { n: number }>(true) }
  }
})

// 2 branches: ok or stop; push with a state; nothing or ok
app.get('/2a', {
  schema,
  websocketHandler: {
    async init ({ params }, ws) {
      if (params.id === 'x') return ws.stop('normal', 1008)
      return ws.ok({ n: 1 })
    },
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})
app.get('/2b', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.push({ event: 'm', list: [] }, { n: 1 }),
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})
app.get('/2c', {
  schema,
  websocketHandler: {
    init ({ params }, ws) { if (params.id === 'x') return; return ws.ok({ n: 1 }) },
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})
app.get('/2d', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.stop('normal', undefined, undefined, { n: 1 }),
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})

// 3 two shapes: the smaller one is normalised away
app.get('/3', {
  schema,
  websocketHandler: {
    init: ({ params }, ws) => params.id === '' ? ws.ok({ n: 1 }) : ws.ok({ n: 1, m: 2 }),
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})

// 4 literals widen; the fix is to say the state
app.get('/4a', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ phase: 'lobby', user: null }),
    terminate (_r, s) { same<typeof s, { phase: string, user: null }>(true) }
  }
})
app.get('/4b', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok<Phased>({ phase: 'lobby', user: null }),
    handleIn: (_m, s, ws) => ws.ok({ ...s, phase: 'game', user: 'x' }),
    terminate (_r, s) { same<typeof s, Phased>(true) }
  }
})
app.get('/4c', {
  schema,
  websocketHandler: {
    init (_a, ws) { const s: Phased = { phase: 'lobby', user: null }; return ws.ok(s) },
    terminate (_r, s) { same<typeof s, Phased>(true) }
  }
})

// 5 a class instance as state
class Game {
  score = 0
  add (n: number): void { this.score += n }
}
app.get('/5', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok(new Game()),
    handleIn (_m, s) { s.add(1) },
    terminate (_r, s) { same<typeof s, Game>(true) }
  }
})

// 6 callbacks by reference
function onMessage (m: Message, s: N, ws: WebsocketContext<Message, unknown, N>): Result<N> {
  return ws.push(m, s)
}
function onAnyMessage<S extends N> (
  m: Message,
  s: S,
  ws: WebsocketContext<Message, unknown, S>
): Result<S> {
  return ws.push(m, { ...s, n: s.n + 1 })
}
app.get('/6a', {
  schema,
  websocketHandler: { init: (_a, ws) => ws.ok({ n: 1 }), handleIn: onMessage }
})
app.get('/6b', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1, extra: 2 }),
    handleIn: (m, s, ws) => onAnyMessage(m, s, ws),
    terminate (_r, s) { same<typeof s, { n: number, extra: number }>(true) }
  }
})

// 7 `this` is the handler
app.get('/7', {
  schema,
  websocketHandler: {
    init (_a, ws) { same<typeof this.handleInfo, undefined>(false); return ws.ok({ n: 1 }) },
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})

// 8 no init: no state
app.get('/8', {
  schema,
  websocketHandler: {
    handleIn: (m, s, ws) => { same<typeof s, NoStateFromInitAbove>(true); return ws.push([m, m]) }
  }
})

// 9 only handleControl
app.get('/9', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok(0),
    handleControl (f, s, ws) {
      same<typeof s, number>(true)
      if (f.opcode === 'ping') return ws.ok(s + 1)
    }
  }
})

// 10 a primitive literal widens
app.get('/10', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok('lobby'),
    terminate (_r, s) { same<typeof s, string>(true) }
  }
})

// 11 an annotated return type
app.get('/11', {
  schema,
  websocketHandler: {
    init: (_a, ws): CallbackResult<Phased> => ws.ok({ phase: 'lobby', user: null }),
    terminate (_r, s) { same<typeof s, Phased>(true) }
  }
})

// 12 `init` must come before the callbacks that use the state
app.get('/12', {
  schema,
  // @ts-expect-error -- State was fixed to none before init was looked at
  websocketHandler: { terminate (_r, s) { void s.n }, init: (_a, ws) => ws.ok({ n: 1 }) }
})

// 13 a generic on the constructor wins over what is written
app.get('/13', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok<Map<string, N>>(new Map()),
    handleInfo (_i, s) { same<typeof s, Map<string, N>>(true) }
  }
})

// 14 helpers do not belong in the handler
// @ts-expect-error -- no such callback
app.get('/14', { schema, websocketHandler: { init: (_a, ws) => ws.ok({ n: 1 }), helper () {} } })

// 15 spread of a partial handler
const base = { handleControl: (frame: { opcode: 'ping' | 'pong' }) => { void frame } }
app.get('/15', {
  schema,
  websocketHandler: {
    ...base,
    init: (_a, ws) => ws.ok({ n: 1 }),
    terminate (_r, s) { same<typeof s, { n: number }>(true) }
  }
})

// 16 an init that returns nothing
app.get('/16', {
  schema,
  websocketHandler: {
    init: async () => {},
    terminate (_r, s) { same<typeof s, NoStateFromInitAbove>(true) }
  }
})

// 17 an init that only throws
app.get('/17', {
  schema,
  websocketHandler: {
    init () { throw new Error('x') },
    terminate (_r, s) { same<typeof s, NoStateFromInitAbove>(true) }
  }
})

// The state of `on`, `handleInvalid` and of the results is that of init too.
app.get('/all', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1 }),
    on: {
      event: {
        m (m, s, ws) {
          same<typeof s, { n: number }>(true)
          same<typeof m, Message>(true)
          return ws.ok({ n: s.n + 1 })
        }
      }
    },
    handleInvalid (problem, s, ws) {
      same<typeof s, { n: number }>(true)
      return ws.stop(problem.error, problem.code, undefined, { n: 0 })
    },
    handleInfo: async (_info, s, ws) => ws.push([], s),
    terminate (_r, s, ws) {
      same<typeof s, { n: number }>(true)
      same<typeof ws, WebsocketContext<Message, unknown, { n: number }>>(true)
    }
  }
})

// `route` infers as `get` does.
app.route({
  method: 'GET',
  url: '/route',
  schema,
  websocketHandler: {
    init: async ({ params }, ws) => ws.ok({ id: params.id }),
    terminate (_r, s) { same<typeof s, { id: string }>(true) }
  }
})
