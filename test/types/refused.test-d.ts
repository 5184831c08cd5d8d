/* What must not compile. */
import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import websock, { typed, type WebsocketHandler } from '../../src/index.ts'

const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
const schema = {
  params: Type.Object({ id: Type.String() }),
  websocket: {
    receive: Type.Union([
      Type.Object({ event: Type.Literal('say'), text: Type.String() }),
      Type.Object({ event: Type.Literal('leave') })
    ]),
    send: Type.Object({ count: Type.Integer() }),
    info: typed<'tick'>()
  }
}

// ── what goes out
app.get('/push', {
  schema,
  // @ts-expect-error -- `count` is an integer
  websocketHandler: { handleIn: (_m, _s, ws) => ws.push({ count: 'one' }) }
})
app.get('/push-list', {
  schema,
  // @ts-expect-error -- a member of a list is checked too
  websocketHandler: { handleIn: (_m, _s, ws) => ws.push([{ count: 1 }, { cuont: 1 }]) }
})
// @ts-expect-error -- `init` may push no more than the others
app.get('/push-init', { schema, websocketHandler: { init: (_a, ws) => ws.push({}, 1) } })
app.get('/push-stop', {
  schema,
  // @ts-expect-error -- nor may a stop
  websocketHandler: { handleIn: (_m, _s, ws) => ws.stop('normal', 1000, { count: 'one' }) }
})
app.get('/push-raw', {
  schema: { websocket: { receive: Type.String() } },
  // @ts-expect-error -- without a `send` schema only strings and bytes go out
  websocketHandler: { handleIn: (_m, _s, ws) => ws.push({ count: 1 }) }
})
// @ts-expect-error -- the same without any schema
app.get('/push-none', { websocketHandler: { handleIn: (_m, _s, ws) => ws.push(1) } })

// ── what comes in
// @ts-expect-error -- there is no such param
app.get('/params', { schema, websocketHandler: { init: ({ params }, ws) => ws.ok(params.name) } })
app.get('/params-type', {
  schema,
  // @ts-expect-error -- a handler for other params
  websocketHandler: { init: ({ params }: { params: { id: number } }, ws) => ws.ok(params.id) }
})
// @ts-expect-error -- `text` is only in `say`
app.get('/narrow', { schema, websocketHandler: { handleIn: (m) => { void m.text } } })
// @ts-expect-error -- nothing has the event `shout`
app.get('/event', { schema, websocketHandler: { on: { event: { shout () {} } } } })
// @ts-expect-error -- nothing is told apart by `kind`
app.get('/field', { schema, websocketHandler: { on: { kind: { say () {} } } } })
// @ts-expect-error -- `text` is no literal
app.get('/no-literal', { schema, websocketHandler: { on: { text: { x () {} } } } })

// ── the guard
// @ts-expect-error -- it is given the whole union
app.get('/guard', { schema, websocketHandler: { guard (m) { void m.text }, handleIn () {} } })
app.get('/guard-push', {
  schema,
  // @ts-expect-error -- it may send no more than the others
  websocketHandler: { guard: (_m, _s, ws) => ws.push({ count: 'one' }), handleIn () {} }
})
app.get('/guard-state', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1 }),
    // @ts-expect-error -- the state is `{ n: number }`
    guard: (_m, _s, ws) => ws.ok({ n: 'one' }),
    handleIn () {}
  }
})
// @ts-expect-error -- true is no result
app.get('/guard-boolean', { schema, websocketHandler: { guard: () => true, handleIn () {} } })
// @ts-expect-error -- an async one neither
app.get('/guard-async', { schema, websocketHandler: { guard: async () => false, handleIn () {} } })

// ── infos
// @ts-expect-error -- the mailbox is told 'tick' only
app.get('/info', { schema, websocketHandler: { init: (_a, ws) => { ws.post('tock') } } })
// @ts-expect-error -- also by timers
app.get('/timer', { schema, websocketHandler: { init: (_a, ws) => { ws.postAfter('tock', 1) } } })
// @ts-expect-error -- also by a ref
app.get('/ref', { schema, websocketHandler: { init: (_a, ws) => { ws.ref.post('tock') } } })
// @ts-expect-error -- and nothing else may be expected from it
app.get('/info-in', { schema, websocketHandler: { handleInfo: (info: 'tock') => { void info } } })

// ── state
app.get('/state', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1 }),
    // @ts-expect-error -- the state is `{ n: number }`
    handleIn: (_m, _s, ws) => ws.ok({ n: 'one' })
  }
})
app.get('/state-push', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1 }),
    // @ts-expect-error -- also in a push
    handleIn: (_m, _s, ws) => ws.push([], { m: 1 })
  }
})
app.get('/state-on', {
  schema,
  websocketHandler: {
    init: (_a, ws) => ws.ok({ n: 1 }),
    // @ts-expect-error -- also in `on`
    on: { event: { say: (_m, _s, ws) => ws.ok({}) } }
  }
})
// @ts-expect-error -- without `init` there is none
app.get('/state-none', { schema, websocketHandler: { handleIn: (_m, s) => { void s.n } } })
// @ts-expect-error -- `ws.ok` in `init` is given the state
app.get('/state-empty', { schema, websocketHandler: { init: (_a, ws) => ws.ok() } })

// ── results and names
// @ts-expect-error -- 'oops' is no reason
app.get('/reason', { schema, websocketHandler: { handleIn: (_m, _s, ws) => ws.stop('oops') } })
app.get('/detail', {
  schema,
  // @ts-expect-error -- a detail is a code, or a code and a reason
  websocketHandler: { handleIn: (_m, _s, ws) => ws.stop('normal', 'bye') }
})
// @ts-expect-error -- only what the context makes is a result
app.get('/result', { schema, websocketHandler: { handleIn: () => ({ type: 'ok' }) } })
// @ts-expect-error -- a state is not a result
app.get('/result-state', { schema, websocketHandler: { init: () => ({ n: 1 }) } })
// @ts-expect-error -- `terminate` returns nothing
app.get('/terminate', { schema, websocketHandler: { terminate: (_r, _s, ws) => ws.ok() } })
// @ts-expect-error -- no such callback
app.get('/callback', { schema, websocketHandler: { handleMessage () {} } })
// @ts-expect-error -- a handler is an object
app.get('/function', { schema, websocketHandler: () => {} })
// @ts-expect-error -- beside `wsHandler`
app.get('/foreign', { schema, wsHandler: () => {}, websocketHandler: {} })
// @ts-expect-error -- `route` without a handler is for GET
app.route({ method: 'POST', url: '/post', schema, websocketHandler: {} })

// ── options
// @ts-expect-error -- no such option
app.get('/option', { schema, websocketOptions: { maxMessageByte: 1 }, websocketHandler: {} })
// @ts-expect-error -- the plugin's alone
app.get('/plugin-option', { schema, websocketOptions: { maxConnections: 1 }, websocketHandler: {} })
app.get('/option-type', {
  schema,
  // @ts-expect-error -- a list of strings
  websocketOptions: { subprotocols: 'chat' },
  websocketHandler: {}
})
app.get('/codec', {
  schema,
  websocketOptions: {
    // @ts-expect-error -- a text codec decodes strings
    codec: { opcode: 'text', decode: (data: Uint8Array) => data, encode: () => '' }
  },
  websocketHandler: {}
})
app.get('/codec-encode', {
  schema,
  websocketOptions: {
    // @ts-expect-error -- a binary codec encodes bytes
    codec: { opcode: 'binary', decode: (data: Uint8Array) => data, encode: () => '' }
  },
  websocketHandler: {}
})
// @ts-expect-error -- no such option of the plugin
void app.register(websock, { maxMessageByte: 1 })
// @ts-expect-error -- of another type
void app.register(websock, { checkOrigin: 'https://example.com' })

// ── a handler by its types
type Chat = WebsocketHandler<{
  Params: { id: string }
  Receive: string
  Send: number
  State: { n: number }
}>
// @ts-expect-error -- it pushes numbers
export const chat: Chat = { handleIn: (_message, _state, ws) => ws.push('1') }
declare const ready: Chat
// @ts-expect-error -- its messages are not this route's
app.get('/by-type', { schema, websocketHandler: ready })
app.get('/by-params', {
  schema: {
    params: Type.Object({ id: Type.Integer() }),
    websocket: { receive: typed<string>(), send: typed<number>() }
  },
  // @ts-expect-error -- its params are not this route's
  websocketHandler: ready
})
app.get('/fits', {
  schema: { params: schema.params, websocket: { receive: typed<string>(), send: typed<number>() } },
  websocketHandler: ready
})
