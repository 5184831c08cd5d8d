import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { pingFrame } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { startServer, type LogLine } from '../helpers/server.ts'
import {
  askState,
  CALLBACKS,
  later,
  startTrials,
  stateAnswer,
  until,
  wire,
  wireUntilClose,
  type Act,
  type Ws
} from '../helpers/scripted-callbacks.ts'

const stray: unknown[] = []
process.on('unhandledRejection', (reason) => stray.push(reason))
process.on('uncaughtException', (error) => stray.push(error))

const circular: Record<string, unknown> = {}
circular.self = circular
const nasty = Object.defineProperty(new Error('nasty'), 'detail', {
  enumerable: true,
  get: () => raise(new Error('from a getter'))
})
const boom = new Error('boom')
const INVALID = { code: 'FST_WEBSOCK_INVALID_RESULT' }
const raise = (what: unknown): never => { throw what }
const untyped = (
  ws: Ws
): { push: (...args: unknown[]) => unknown, stop: (...args: unknown[]) => unknown } => ws as never
/** Pushes a list whose third message is `message`. No message of the list may be sent. */
const pushAsThird = (ws: Ws, message: unknown): unknown =>
  untyped(ws).push([{ n: 1 }, { n: 2 }, message], 'lost')

/** With the error that `terminate` gets and the logged error, by default the same. */
type Failure = readonly [name: string, act: Act, error: unknown, logged?: object | string]
const unsendable = (name: string, act: Act): Failure =>
  [name, act, { code: 'FST_WEBSOCK_UNSENDABLE' }]

const FAILURES: readonly Failure[] = [
  ['a throw', () => raise(boom), boom, { type: 'Error', message: 'boom' }],
  ['a throw of a string', () => raise('words'), 'words', 'words'],
  ['a throw of null', () => raise(null), null, 'null'],
  ['a throw of an object', () => raise({ code: 7 }), { code: 7 }],
  ['a null', () => null, INVALID],
  ['a number', () => 5, INVALID],
  ['a string', () => 'state', INVALID],
  ['a plain object', () => ({ type: 'ok', state: 1 }), INVALID],
  ['an array', () => [{ n: 1 }], INVALID],
  ['a function', () => () => {}, INVALID],
  ['the context', (ws) => ws, INVALID],
  ['stop with an unknown reason', (ws) => untyped(ws).stop('because'), INVALID],
  ['stop with a plain object', (ws) => untyped(ws).stop({ message: 'x' }), INVALID],
  ...[999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 1000.5, NaN, '1000', null].map(
    (code) => unsendable(`close code ${String(code)}`, (ws) => untyped(ws).stop('normal', code))
  ),
  unsendable('a reason of 124 bytes', (ws) =>
    ws.stop('normal', [1000, 'r'.repeat(120) + '🙂'], { n: 1 }, 'lost')),
  unsendable('a reason that is no string', (ws) => untyped(ws).stop('normal', [1000, 7])),
  unsendable('a ping of 126 bytes', (ws) => ws.push(pingFrame('p'.repeat(126)))),
  unsendable('a ping of 126 bytes in 63 characters', (ws) => ws.push(pingFrame('é'.repeat(63)))),
  unsendable('a message that the schema cannot serialize', (ws) =>
    untyped(ws).push({ n: 'no number' })),
  unsendable('a message without a required field', (ws) => untyped(ws).push({})),
  unsendable('a circular message', (ws) => ws.push({ n: 1, any: circular })),
  unsendable('a message with a bigint', (ws) => ws.push({ n: 1, any: { big: 1n } })),
  unsendable('no message', (ws) => untyped(ws).push(undefined)),
  unsendable('a third message that cannot be written', (ws) => pushAsThird(ws, { n: 'no number' })),
  unsendable('a ping that is too long as the third message', (ws) =>
    pushAsThird(ws, pingFrame('p'.repeat(126)))),
  unsendable('a list with a hole', (ws) => {
    const list = [{ n: 1 }]
    list[2] = { n: 3 }
    return ws.push(list, 'lost')
  }),
  unsendable('a stop with a message that cannot be serialized', (ws) =>
    untyped(ws).stop('normal', 4000, [{ n: 1 }, { n: 'x' }], 'lost'))
]

const MODES: ReadonlyArray<[name: string, wrap: (act: Act) => Act]> = [
  ['sync', (act) => act],
  ['async', (act) => (ws, state) => later(() => act(ws, state))]
]

/**
 * The callback's name in the log. `on` and `handleInvalid` are logged as `handleIn`, because they
 * handle messages.
 */
const NAMES: Readonly<Record<string, string>> = {
  'on.event.say': 'handleIn',
  handleInvalid: 'handleIn'
}

function failuresOf (logs: LogLine[], id: string | undefined): LogLine[] {
  return logs.filter((line) => line.websocket === id && line.level >= 40)
}

for (const [mode, wrap] of MODES) {
  for (const callback of CALLBACKS) {
    void t.test(`each failure of ${mode} ${callback} closes with 1011, logged once`, async (t) => {
      const trials = await startTrials(t)
      for (const [name, act, error, logged] of FAILURES) {
        const { raw, trial } = await trials.open(t, callback, wrap(act))
        t.same(
          await wireUntilClose(raw),
          ['close 1011 '],
          `${name}: only a close frame without a reason is sent`
        )
        t.equal(trial.ws?.signal.aborted, true, `${name}: the signal is aborted`)
        if (callback === 'init') t.same(trial.terminated, [], `${name}: terminate is not called`)
        else {
          t.match(
            trial.terminated,
            [{ reason: { type: 'error', error, code: 1011 }, state: 'first' }],
            `${name}: terminate`
          )
          t.equal(trial.terminated.length, 1, `${name}: terminate is called once`)
        }
        const lines = failuresOf(trials.logs, trial.ws?.id)
        t.equal(lines.length, 1, `${name}: one log line`)
        t.match(
          lines[0],
          {
            level: 50,
            websocket: trial.ws?.id,
            route: '/trial/:n',
            callback: NAMES[callback] ?? callback,
            err: logged ?? error
          },
          `${name}: the log line`
        )
      }
    })
  }
}

void t.test('a throw of undefined or of an unreadable error is a failure', async (t) => {
  const trials = await startTrials(t)
  const trap = (): never => { throw new Error('trap') }
  const proxy = new Proxy({}, { get: trap, ownKeys: trap })
  const evil = Object.assign(() => {}, { toString: trap })
  const thrown = [
    [undefined, { err: 'undefined' }],
    [Symbol('s'), { err: 'Symbol(s)' }],
    [1n, { err: '1' }],
    [nasty, { problem: 'Error: nasty' }],
    [proxy, {}],
    [evil, { err: '(cannot be read)' }],
    [new Proxy(() => {}, { get: trap }), { err: '(cannot be read)' }]
  ] as const
  for (const [what, logged] of thrown) {
    for (const [mode, wrap] of MODES) {
      for (const callback of CALLBACKS) {
        const { raw, trial } = await trials.open(t, callback, wrap(() => raise(what)))
        t.same(await wireUntilClose(raw), ['close 1011 '], `${typeof what} ${mode} ${callback}`)
        if (callback !== 'init') {
          t.equal(trial.terminated.length, 1)
          t.equal((trial.terminated[0]?.reason as { error?: unknown }).error, what)
        }
        t.match(failuresOf(trials.logs, trial.ws?.id), [
          { level: 50, ...logged, callback: NAMES[callback] ?? callback }
        ])
        t.equal(failuresOf(trials.logs, trial.ws?.id).length, 1, 'one line')
      }
    }
  }
})

void t.test('a thenable that fails is a failure, others are applied once', async (t) => {
  const trials = await startTrials(t)
  type Thenable = [name: string, make: (ws: Ws) => unknown]
  const failing: Thenable[] = [
    ['then throws', () => ({ then: () => raise(boom) })],
    ['the getter of then throws', () => ({ get then () { return raise(boom) } })],
    ['the getter of then throws the second time', () => {
      let reads = 0
      return { get then () { return ++reads > 1 ? raise(boom) : () => {} } }
    }],
    ['then rejects twice', () => thenable((_resolve, reject) => {
      reject(boom)
      reject(new Error('again'))
    })],
    ['then rejects and throws', () => thenable((_resolve, reject) => {
      reject(boom)
      throw new Error('again')
    })],
    ['then resolves with a rejection', () => thenable((resolve) => resolve(Promise.reject(boom)))]
  ]
  const sending: Thenable[] = [
    ['then resolves twice', (ws) => thenable((resolve) => {
      resolve(ws.push({ n: 1 }))
      resolve(ws.push({ n: 2 }))
    })],
    ['then resolves, then rejects', (ws) => thenable((resolve, reject) => {
      resolve(ws.push({ n: 1 }))
      reject(boom)
    })],
    ['then resolves at once', (ws) => thenable((resolve) => resolve(ws.push({ n: 1 })))],
    ['a thenable of a thenable', (ws) => thenable((resolve) =>
      resolve(thenable((inner) => inner(ws.push({ n: 1 })))))],
    ['a thenable with a null prototype', (ws) => Object.assign(
      Object.create(null) as object,
      thenable((resolve) => resolve(ws.push({ n: 1 })))
    )]
  ]
  for (const [name, make] of failing) {
    const { raw, trial } = await trials.open(t, 'handleIn', make)
    await raw.until(() => wire(raw).length > 0)
    t.equal(wire(raw)[0], 'close 1011 ', name)
    t.match(trial.terminated, [{ reason: { error: boom } }], name)
    t.equal(failuresOf(trials.logs, trial.ws?.id).length, 1, `${name}: one line`)
  }
  for (const [name, make] of sending) {
    const { raw, trial } = await trials.open(t, 'handleIn', make)
    await raw.until(() => wire(raw).length > 0)
    t.equal(wire(raw)[0], 'text {"n":1}', name)
    raw.write(askState)
    await raw.until(() => wire(raw).length > 1)
    t.same(wire(raw).slice(1), [stateAnswer('first')], `${name}: applied once`)
    t.same(trial.terminated, [])
  }
})

function thenable (
  then: (resolve: (value: unknown) => void, reject: (error: Error) => void) => void
): object {
  return { then }
}

void t.test('after a failure earlier messages arrive, and the state is kept', async (t) => {
  const big = 'x'.repeat(300_000)
  const ended: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => ws.push('0', 0),
        handleIn ({ data }, state, ws) {
          if (data === 'fail') throw new Error('boom')
          return ws.push([big, String(state + 1)], state + 1)
        },
        terminate: (reason, state) => { ended.push(reason.type, state) }
      }
    })
  })
  const [client, other] = [await connect(t, server.url('/')), await connect(t, server.url('/'))]
  for (const message of ['a', 'b', 'fail', 'c']) client.send(message)
  t.same(await client.closed, { code: 1011, reason: '' })
  t.same(
    client.received,
    ['0', big, '1', big, '2'],
    'all messages before the failure arrive, and none after it'
  )
  t.same(ended, ['error', 2])
  other.send('a')
  t.same(
    [await other.next(), await other.next(), await other.next()],
    ['0', big, '1'],
    'another connection stays open'
  )
  t.equal(server.logs.length, 1)
})

void t.test('without a send schema a message of a wrong type is a failure', async (t) => {
  const wrong: unknown[] = [
    5,
    null,
    true,
    {},
    { opcode: 'text', data: Buffer.from('x') },
    { opcode: 'binary', data: 'x' },
    { opcode: 'close', data: '' },
    ['nested'],
    new ArrayBuffer(1)
  ]
  const errors: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn: ({ data }, _state, ws) => ws.push(['first', wrong[Number(data)] as string]),
        terminate: (reason) => {
          errors.push((reason as { error?: { code?: string } }).error?.code)
        }
      }
    })
  })
  for (const index of wrong.keys()) {
    const client = await connect(t, server.url('/'))
    client.send(String(index))
    t.same(await client.closed, { code: 1011, reason: '' })
    t.same(client.received, [])
  }
  t.same(errors, wrong.map(() => 'FST_WEBSOCK_UNSENDABLE'))
})

void t.test('a codec that returns no frame is a failure: no message is sent', async (t) => {
  for (const written of [undefined, null, 7, { a: 1 }, Buffer.from('x'), new Error('returned')]) {
    const server = await startServer(t, (app) => {
      app.get('/', {
        schema: { websocket: { send: Type.Object({ n: Type.Integer() }) } },
        websocketOptions: {
          codec: {
            opcode: 'text',
            decode: (data) => data,
            encode: (message) =>
              (message as { n: number }).n === 3 ? (written as unknown as string) : 'fine'
          }
        },
        websocketHandler: {
          handleIn: (_message, _state, ws) => ws.push([{ n: 1 }, { n: 2 }, { n: 3 }])
        }
      })
    })
    const client = await connect(t, server.url('/'))
    client.send('go')
    t.same(await client.closed, { code: 1011, reason: '' }, String(written))
    t.same(client.received, [])
  }
})

void t.test('a terminate that fails is logged once, after the close frame', async (t) => {
  const failures: Array<[name: string, terminate: () => unknown]> = [
    ['throws', () => raise(new Error('late'))],
    ['rejects', async () => later(() => raise(new Error('late')))],
    ['throws undefined', () => raise(undefined)],
    ['rejects with undefined', async () => later(() => raise(undefined))],
    ['throws an unreadable error', () => raise(nasty)],
    ['rejects with an unreadable error', async () => later(() => raise(nasty))],
    ['is a thenable that throws', () => ({ then () { throw new Error('late') } })],
    ['has a then that throws', () => ({ get then () { throw new Error('late') } })]
  ]
  for (const [name, terminate] of failures) {
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          handleIn: (_message, _state, ws) => ws.stop('normal', [4000, 'bye'], 'last'),
          terminate: terminate as () => void
        }
      })
    })
    const client = await connect(t, server.url('/'))
    client.send('stop')
    t.same(await client.closed, { code: 4000, reason: 'bye' }, name)
    t.same(client.received, ['last'])
    await server.app.close()
    t.match(
      server.logs,
      [{ level: 50, callback: 'terminate', route: '/', websocket: /./ }],
      `${name}: logged`
    )
    t.equal(server.logs.length, 1, `${name}: once`)
  }
})

void t.test('a callback that fails after the end is logged and changes nothing', async (t) => {
  const trials = await startTrials(t)
  for (const callback of CALLBACKS) {
    let fail = (): void => {}
    const failed = new Promise<void>((resolve) => { fail = resolve })
    const { raw, trial } = await trials.open(t, callback, async () => {
      await failed
      throw new Error('late')
    })
    await until(trial, 'calls')
    raw.socket.destroy()
    await new Promise((resolve) => trial.ws?.signal.addEventListener('abort', resolve))
    t.same(trial.terminated, [], 'terminate waits for it')
    fail()
    if (callback === 'init') await later(() => later(() => {}))
    else await until(trial, 'terminated')
    t.match(
      trial.terminated,
      callback === 'init' ? [] : [{ reason: { type: 'remote', code: 1006 }, state: 'first' }],
      callback
    )
    t.equal(trial.terminated.length, callback === 'init' ? 0 : 1, callback)
    t.match(failuresOf(trials.logs, trial.ws?.id), [{ err: { message: 'late' } }], callback)
  }
})

void t.test('no failure above has caused an unhandled rejection or exception', async (t) => {
  // An unhandled rejection is reported after the microtasks of its turn.
  await later(() => {})
  t.same(stray, [])
})
