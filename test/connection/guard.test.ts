import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import websock, {
  type TerminateReason,
  type WebsocketContext,
  type WebsockOptions
} from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { connectRaw, frame, handshake, text } from '../helpers/raw.ts'
import { buildApp, startServer, type Teardown, type TestServer } from '../helpers/server.ts'
import { later, wire, wireUntilClose } from '../helpers/scripted-callbacks.ts'

const Say = Type.Object({ event: Type.Literal('say'), text: Type.String() })
const Leave = Type.Object({ event: Type.Literal('leave') })

interface Message { event: 'say' | 'leave', text?: string }
type Ws = WebsocketContext<string, string, string[]>
type Guard = (message: Message, state: string[], ws: Ws) => unknown

interface Guarded extends TestServer {
  readonly calls: string[]
  readonly ends: Array<{ reason: TerminateReason, state: unknown }>
  /** Resolves with the context of the first connection. */
  readonly opened: Promise<Ws>
}

/** A route with a list of words as state. Its callbacks answer with the state. */
async function startGuarded (
  t: Teardown,
  guard: Guard,
  options: WebsockOptions = {}
): Promise<Guarded> {
  const calls: string[] = []
  const ends: Guarded['ends'] = []
  let open = (_ws: Ws): void => {}
  const opened = new Promise<Ws>((resolve) => { open = resolve })
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: Type.Union([Say, Leave]), info: Type.String() } },
      websocketHandler: {
        init (_args, ws) {
          open(ws as unknown as Ws)
          return ws.ok<string[]>(['first'])
        },
        guard (message, state, ws) {
          calls.push(`guard ${message.event}`)
          return guard(message, state, ws) as undefined
        },
        on: {
          event: {
            say (message, state, ws) {
              calls.push(`say ${message.text}`)
              if (message.text === 'fail') throw new Error('said')
              return ws.push(state.join(' '), [...state, message.text])
            }
          }
        },
        handleIn (message, state, ws) {
          calls.push(`handleIn ${message.event}`)
          return ws.push(state.join(' '))
        },
        handleInvalid (problem, _state, ws) {
          calls.push(`invalid ${problem.kind}`)
          if (problem.kind === 'undecodable') throw new Error('invalid')
          return ws.push('invalid')
        },
        handleInfo: (info, _state, ws) => {
          calls.push(`info ${info}`)
          return ws.push(`info ${info}`)
        },
        handleControl () {
          calls.push('control')
        },
        terminate (reason, state) {
          ends.push({ reason, state })
        }
      }
    })
  }, { websock: options })
  return { ...server, calls, ends, opened }
}

const say = (words: string): string => JSON.stringify({ event: 'say', text: words })
const leave = JSON.stringify({ event: 'leave' })

const MODES: ReadonlyArray<[name: string, wrap: (guard: Guard) => Guard]> = [
  ['sync', (guard) => guard],
  ['async', (guard) => (...args) => later(() => guard(...args))]
]

for (const [mode, wrap] of MODES) {
  void t.test(
    `${mode}: a guard that returns nothing or ok lets the message pass, with its state`,
    async (t) => {
      const results: Array<(ws: Ws, state: string[]) => unknown> = [
        () => undefined,
        (ws) => ws.ok(),
        (ws, state) => ws.ok([...state, 'guarded'])
      ]
      let n = 0
      const server = await startGuarded(
        t,
        wrap((_message, state, ws) => results[n++]?.(ws, state))
      )
      const client = await connect(t, server.url('/'))
      for (const message of [say('a'), leave, say('b')]) client.send(message)
      t.equal(await client.next(), 'first')
      t.equal(await client.next(), 'first a')
      t.equal(await client.next(), 'first a guarded')
      t.same(server.calls, [
        'guard say',
        'say a',
        'guard leave',
        'handleIn leave',
        'guard say',
        'say b'
      ])
    }
  )

  void t.test(
    `${mode}: a push or a stop of the guard is sent, and the callback is not called`,
    async (t) => {
      const server = await startGuarded(
        t,
        wrap((message, state, ws) =>
          message.text === 'slow down'
            ? ws.push('refused', [...state, 'warned'])
            : ws.stop('normal', [4001, 'enough'], state.join(' '), [...state, 'stopped'])
        )
      )
      const client = await connect(t, server.url('/'))
      for (const message of [say('slow down'), say('go'), say('behind')]) client.send(message)
      t.same(await client.closed, { code: 4001, reason: 'enough' })
      t.same(client.received, ['refused', 'first warned'])
      t.same(server.calls, ['guard say', 'guard say'])
      await server.app.close()
      t.same(server.ends, [{ reason: { type: 'normal' }, state: ['first', 'warned', 'stopped'] }])
      t.same(server.logs, [])
    }
  )

  void t.test(`${mode}: a guard that fails ends the connection, like any callback`, async (t) => {
    const failures: Array<[act: (ws: Ws) => unknown, error: object]> = [
      [() => { throw new Error('guarded') }, { message: 'guarded' }],
      [() => 'a string', { code: 'FST_WEBSOCK_INVALID_RESULT' }],
      [(ws) => ws.push({ no: 'string' } as never, ['lost']), { code: 'FST_WEBSOCK_UNSENDABLE' }],
      [(ws) => ws.stop('normal', 999, [], ['lost']), { code: 'FST_WEBSOCK_UNSENDABLE' }]
    ]
    for (const [act, error] of failures) {
      const server = await startGuarded(t, wrap((_message, _state, ws) => act(ws)))
      const client = await connect(t, server.url('/'))
      client.send(say('x'))
      t.same(await client.closed, { code: 1011, reason: '' })
      await server.app.close()
      t.match(server.logs, [{ level: 50, callback: 'guard', route: '/', err: error }])
      t.equal(server.logs.length, 1)
      t.match(server.ends, [{ reason: { type: 'error', error, code: 1011 }, state: ['first'] }])
      t.same([server.ends.length, ...server.calls], [1, 'guard say'])
    }
  })

  void t.test(
    `${mode}: when the callback fails after its guard, the state is that of the guard`,
    async (t) => {
      const server = await startGuarded(
        t,
        wrap((_message, state, ws) => ws.ok([...state, 'counted']))
      )
      const client = await connect(t, server.url('/'))
      client.send(say('fail'))
      t.equal((await client.closed).code, 1011)
      await server.app.close()
      t.match(server.logs, [{ callback: 'handleIn', err: { message: 'said' } }])
      t.match(server.ends, [
        { reason: { error: { message: 'said' } }, state: ['first', 'counted'] }
      ])
    }
  )

  void t.test(
    `${mode}: no other callback runs between a guard and its callback`,
    async (t) => {
      const server = await startGuarded(
        t,
        wrap((message, _state, ws) => {
          ws.post(`of ${message.text}`)
        })
      )
      const raw = await connectRaw(t, server.port)
      raw.write(handshake('/'))
      const ws = await server.opened
      const messages = Array.from({ length: 20 }, (_, n) => say(`${n}`))
      raw.write(Buffer.concat(messages.flatMap((message, n) => [text(message), frame(9, `${n}`)])))
      for (let n = 0; n < 20; n++) ws.post(`${n}`)
      await raw.until(() => wire(raw).length === 60)
      const pairs = server.calls.filter((call) => /^(guard|say)/.test(call))
      t.same(
        pairs,
        messages.flatMap((_, n) => ['guard say', `say ${n}`])
      )
      const notFollowed = server.calls.filter(
        (call, n) => call === 'guard say' && !server.calls[n + 1]?.startsWith('say ')
      )
      t.same(notFollowed, [], 'the callback is called directly after its guard')
      t.equal(server.calls.filter((call) => call === 'control').length, 20)
    }
  )
}

void t.test('an invalid message, an info and a ping do not call the guard', async (t) => {
  const server = await startGuarded(t, () => {})
  const client = await connect(t, server.url('/'))
  client.send('{"event":"shout"}')
  t.equal(await client.next(), 'invalid')
  const ws = await server.opened
  ws.post('told')
  t.equal(await client.next(), 'info told')
  client.socket.ping()
  client.send('no json')
  t.equal((await client.closed).code, 1011)
  t.same(server.calls, ['invalid mismatch', 'info told', 'control', 'invalid undecodable'])
  t.match(
    server.logs,
    [{ callback: 'handleIn', err: { message: 'invalid' } }],
    'the failure is logged for handleIn, not for guard'
  )
})

void t.test(
  'without a schema the guard gets the raw message; `this` is the handler',
  async (t) => {
    const server = await startServer(t, (app) => {
      class Route {
        limit = 3
        guard (
          { data }: { data: unknown },
          _state: unknown,
          ws: WebsocketContext<string, unknown, unknown>
        ): unknown {
          return String(data).length > this.limit ? ws.push('too long') : undefined
        }

        handleIn (
          { data }: { data: unknown },
          _state: unknown,
          ws: WebsocketContext<string, unknown, unknown>
        ): unknown {
          return ws.push(`${String(data)} of ${this.limit}`)
        }
      }
      app.get('/', { websocketHandler: new Route() as never })
    })
    const client = await connect(t, server.url('/'))
    for (const message of ['1', '1234', Buffer.from('12')]) client.send(message)
    t.same(
      [await client.next(), await client.next(), await client.next()],
      ['1 of 3', 'too long', '12 of 3']
    )
  }
)

/** A guard that waits until the test releases it. */
function createGate (): { guard: Guard, entered: Promise<void>, open: () => void } {
  let enter = (): void => {}
  let open = (): void => {}
  const entered = new Promise<void>((resolve) => { enter = resolve })
  const opened = new Promise<void>((resolve) => { open = resolve })
  return {
    entered,
    open,
    guard: async (_message, state, ws) => {
      enter()
      await opened
      return ws.ok([...state, 'guarded'])
    }
  }
}

void t.test(
  'when the peer closes while a guard runs, the message is still handled, then terminate is called',
  async (t) => {
    const { guard, entered, open } = createGate()
    const server = await startGuarded(t, guard)
    const raw = await connectRaw(t, server.port)
    raw
      .write(handshake('/'))
      .write(Buffer.concat([text(say('a')), text(say('b')), frame(8, Buffer.from([3, 232]))]))
    await entered
    await wireUntilClose(raw)
    t.same(server.ends, [])
    open()
    await server.app.close()
    t.same(server.calls, ['guard say', 'say a', 'guard say', 'say b'])
    t.match(server.ends, [
      { reason: { type: 'remote' }, state: ['first', 'guarded', 'a', 'guarded', 'b'] }
    ])
  }
)

void t.test('when the server closes while a guard runs, its message is handled', async (t) => {
  const { guard, entered, open } = createGate()
  const server = await startGuarded(t, guard)
  const client = await connect(t, server.url('/'))
  client.send(say('a'))
  client.send(say('b'))
  await entered
  const closing = server.app.close()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  open()
  t.equal((await client.closed).code, 1012)
  await closing
  t.same(server.calls, ['guard say', 'say a'])
  t.same(server.ends, [{ reason: { type: 'shutdown' }, state: ['first', 'guarded', 'a'] }])
})

void t.test(
  'when a guard exceeds terminateTimeoutMs after a close, the callback is not called',
  async (t) => {
    const { guard, entered, open } = createGate()
    const server = await startGuarded(t, guard, { terminateTimeoutMs: 50 })
    const raw = await connectRaw(t, server.port)
    raw
      .write(handshake('/'))
      .write(Buffer.concat([text(say('a')), frame(8, Buffer.from([3, 232]))]))
    await entered
    await wireUntilClose(raw)
    await server.app.close()
    t.equal(server.ends.length, 1)
    open()
    await later(() => {})
    t.same(server.calls, ['guard say'])
    t.match(server.ends, [{ reason: { type: 'remote' } }])
  }
)

void t.test(
  'a guard that is not a function, or is on a route without handleIn and on, is refused at start',
  async (t) => {
    const refused: Array<[handler: object, code: string, message: string]> = [
      [
        { guard: true, handleIn () {} },
        'FST_WEBSOCK_INVALID_HANDLER',
        'Route GET:/: `websocketHandler.guard` must be a function'
      ],
      [
        { guard () {} },
        'FST_WEBSOCK_UNHANDLED',
        'Route GET:/: `guard` is called before the callback of a message, but there is none: add ' +
        '`handleIn`, or `on` with a `receive` schema'
      ]
    ]
    for (const [websocketHandler, code, message] of refused) {
      const { app } = buildApp(t)
      await app.register(websock)
      await t.rejects(
        (async () => {
          app.get('/', { websocketHandler } as never)
          await app.ready()
        })(),
        { code, message }
      )
    }
  }
)
