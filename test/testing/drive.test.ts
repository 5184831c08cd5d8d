import Fastify from 'fastify'
import { Type, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import t from 'tap'
import websock, { withTypeProvider } from '../../src/index.ts'
import { drive } from '../../src/testing/index.ts'

const { defineWebsocketRoute } = withTypeProvider<TypeBoxTypeProvider>()

const ended: unknown[] = []

const counter = defineWebsocketRoute({
  schema: {
    params: Type.Object({ room: Type.String({ maxLength: 9 }), step: Type.Integer() }),
    querystring: Type.Object({
      tag: Type.Optional(Type.Array(Type.String())),
      from: Type.Optional(Type.Integer({ default: 0 }))
    }),
    websocket: {
      receive: Type.Union([
        Type.Object({ event: Type.Literal('add'), n: Type.Integer() }),
        Type.Object({ event: Type.Literal('later') }),
        Type.Object({ event: Type.Literal('stop') }),
        Type.Object({ event: Type.Literal('throw') }),
        Type.Object({ event: Type.Literal('hang') })
      ]),
      send: Type.Object({
        event: Type.String(),
        n: Type.Optional(Type.Integer()),
        text: Type.Optional(Type.String())
      }),
      info: Type.Union([Type.Literal('tick'), Type.Literal('late'), Type.Literal('later still')])
    }
  },
  websocketHandler: {
    init ({ params, query, request }, ws) {
      ws.postInterval('tick', 1000)
      ws.subscribe(params.room)
      return ws.push(
        { event: 'hello', text: `${params.room} ${(query.tag ?? []).join()} ${request.ip}` },
        { step: params.step, n: query.from ?? -1 }
      )
    },
    on: {
      event: {
        async add ({ n }, state, ws) {
          await new Promise(setImmediate)
          return ws.push({ event: 'sum', n: state.n + n }, { ...state, n: state.n + n })
        },
        later (_message, _state, ws) {
          ws.postAfter('late', 500)
        },
        stop: (_message, _state, ws) => ws.stop('normal', [4000, 'enough'], { event: 'bye' }),
        throw () {
          throw new Error('mine')
        },
        hang: () => new Promise<void>(() => {})
      }
    },
    handleInfo (info, state, ws) {
      if (info === 'late') ws.postAfter('later still', 100)
      return ws.push(
        { event: info },
        info === 'tick' ? { ...state, n: state.n + state.step } : state
      )
    },
    handleControl: ({ opcode }, _state, ws) => ws.push({ event: opcode }),
    handleDrain: ({ timeoutMs }, _state, ws) => ws.push({ event: 'drain', n: timeoutMs }),
    handleGap: ({ ms }, _state, ws) => ws.push({ event: 'gap', n: ms }),
    handlePresence: ({ joins }, _state, ws) =>
      ws.push(joins.map(({ key }) => ({ event: 'joined', text: key }))),
    terminate: (reason) => {
      ended.push(reason)
    }
  }
})

const params = { room: 'a b/c', step: 2 }

void t.test(
  'each step resolves with its messages, and the state and all messages can be read',
  async (t) => {
    await using driven = await drive(counter, { params, query: { tag: ['x', 'y'], from: 5 } })
    const { step, n }: { step: number, n: number } = driven.state
    t.same({ step, n }, { step: 2, n: 5 }, 'params are converted, as those of a URL are')
    t.same(driven.sent, [{ event: 'hello', text: 'a b/c x,y 127.0.0.1' }])
    t.same(await driven.receive({ event: 'add', n: 3 }), [{ event: 'sum', n: 8 }])
    t.same(await driven.post('late'), [{ event: 'late' }])
    t.same(await driven.ping('x'), [{ event: 'ping' }])
    t.same(await driven.drain({ timeoutMs: 7 }), [{ event: 'drain', n: 7 }])
    t.same(await driven.gap({ ms: 8 }), [{ event: 'gap', n: 8 }])
    t.same(
      await driven.presence({
        topic: 'a',
        joins: [{ key: 'ann', meta: null, address: 'x' }],
        leaves: []
      }),
      [{ event: 'joined', text: 'ann' }]
    )
    driven.app.websock.broadcast(params.room, { event: 'news' })
    t.same(await driven.settled(), [{ event: 'news' }])
    t.equal(driven.end, undefined)
    // @ts-expect-error -- no info of the route
    t.same(await driven.post('other'), [{ event: 'other' }])
  }
)

void t.test('advance moves the time, timer by timer', async (t) => {
  await using driven = await drive(counter, { params })
  t.equal(driven.state.n, 0, 'defaults are filled in')
  t.same(await driven.advance(999), [])
  t.same(await driven.advance(1), [{ event: 'tick' }])
  t.same(await driven.receive({ event: 'later' }), [])
  t.same(await driven.advance(2000), [
    { event: 'late' },
    { event: 'later still' },
    { event: 'tick' },
    { event: 'tick' }
  ])
  t.equal(driven.state.n, 6)
  t.same(await driven.receive({ event: 'stop' }), [{ event: 'bye' }])
  t.same(await driven.advance(10_000), [], 'timers end with the connection')
})

void t.test('the end: its reason, its close frame and terminate', async (t) => {
  const cases = [
    [{ event: 'stop' }, { type: 'normal' }, { code: 4000, reason: 'enough' }],
    [
      { event: 'throw' },
      { type: 'error', error: { message: 'mine' }, code: 1011 },
      { code: 1011, reason: '' }
    ],
    [
      { event: 'add', n: 'x' },
      { type: 'error', code: 1008 },
      { code: 1008, reason: 'message does not match' }
    ]
  ] as const
  for (const [message, end, closed] of cases) {
    ended.length = 0
    await using driven = await drive(counter, { params })
    await driven.receive(message as never)
    t.match(driven.end, end)
    t.same(await driven.closed, closed)
    t.match(ended, [end])
    await t.rejects(driven.post('tick'), /the mailbox refused the info/)
    await t.rejects(driven.gap({ ms: 1 }), /or the connection has ended/)
    await t.rejects(driven.receive({ event: 'stop' }), /the connection has ended/)
  }
  await using left = await drive(counter, { params })
  await left.disconnect(4001, 'bye')
  t.same(left.end, { type: 'remote', code: 4001, reason: 'bye' })
  await using cut = await drive(counter, { params })
  await cut.cut()
  t.same(cut.end, { type: 'remote', code: 1006, reason: '' })
  await using raw = await drive(counter, { params })
  await raw.receiveRaw(Buffer.from('x'))
  t.match(await raw.closed, { code: 1007 })
})

void t.test(
  'the hooks of a given app run, and its connections share one time',
  async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(websock)
    await app.register(
      async (child) => {
        child.addHook('preHandler', async (request) => {
          if (request.headers['x-key'] !== 'k') {
            throw Object.assign(new Error('who are you'), { statusCode: 401 })
          }
        })
        child.get('/rooms/:room/:step', counter)
      },
      { prefix: '/v1' }
    )
    await t.rejects(
      drive(counter, { app, params }),
      /the upgrade of \/v1\/rooms\/a%20b%2Fc\/2 was refused: 401 {.*who are you/
    )
    const headers = { 'x-key': 'k' }
    const one = await drive(counter, { app, params, headers })
    const two = await drive(counter, { app, params, headers })
    app.websock.broadcast(params.room, { event: 'news' })
    t.same(await one.settled(), [{ event: 'news' }])
    await one.advance(1000)
    t.same(await two.settled(), [{ event: 'news' }, { event: 'tick' }])
    await app.close()
    t.same([one.end, two.end], [{ type: 'shutdown' }, { type: 'shutdown' }])
  }
)

void t.test('mistakes in a test are errors', async (t) => {
  await t.rejects(
    drive(counter, { params: { room: 'much too long', step: 1 } }),
    /refused: 400 {.*params\/room/
  )
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(drive(counter, { app, params }), /an app without fastify-websock/)
  const other = Fastify()
  t.teardown(() => other.close())
  await other.register(websock)
  await t.rejects(drive(counter, { app: other, params }), /does not have this route/)
  const plain = defineWebsocketRoute({ websocketHandler: { handleIn () {} } })
  await using driven = await drive(plain, { codec: 'raw', headers: { host: 'x' } })
  await t.rejects(
    driven.presence({ topic: 'a', joins: [], leaves: [] }),
    /no handler for the presence/
  )
  const pushing = defineWebsocketRoute({
    websocketHandler: { handleIn: (_message, _state, ws) => ws.push('no JSON') }
  })
  const unread = await drive(pushing, { headers: { host: 'x' } })
  await t.rejects(
    unread.receiveRaw('hello'),
    /the client did not understand a frame: .*JSON \(option `codec`\)[^]*← no JSON/
  )
  const hanging = await drive(counter, { params, timeoutMs: 50 })
  await t.rejects(
    hanging.receive({ event: 'hang' }),
    /a callback still runs after 50 ms[^]*→ {"event":"hang"}/
  )
})
