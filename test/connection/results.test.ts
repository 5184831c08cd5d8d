import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { closeCodes, pingFrame } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { connectRaw, frame, handshake, text } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'
import {
  askState,
  CALLBACKS,
  later,
  startTrials,
  stateAnswer,
  until,
  wire,
  wireUntilClose,
  type Act
} from '../helpers/scripted-callbacks.ts'

const REASON_OF_123_BYTES = 'r'.repeat(119) + '🙂'
const ONE = 'text {"n":1}'
const TWO = 'text {"n":2}'

/**
 * Results that keep the connection open: the sent frames, and the next state. Undefined: the
 * previous state.
 */
const GOES_ON: ReadonlyArray<[name: string, act: Act, frames: string[], state?: unknown]> = [
  ['nothing', () => {}, []],
  ['ok()', (ws) => ws.ok(), []],
  ['ok(state)', (ws) => ws.ok('second'), [], 'second'],
  ['ok(falsy state)', (ws) => ws.ok(0), [], 0],
  ['push(message)', (ws) => ws.push({ n: 1 }), [ONE]],
  ['push(message, state)', (ws) => ws.push({ n: 1 }, 'second'), [ONE], 'second'],
  ['push(list)', (ws) => ws.push([{ n: 1 }, { n: 2 }, { n: 1 }]), [ONE, TWO, ONE]],
  ['push(list, state)', (ws) => ws.push([{ n: 1 }, { n: 2 }], 'second'), [ONE, TWO], 'second'],
  ['push(empty list, state)', (ws) => ws.push([], 'second'), [], 'second'],
  ['push(ping)', (ws) => ws.push(pingFrame()), ['ping ']],
  [
    'push(list with a ping of 125 bytes)',
    (ws) => ws.push([{ n: 1 }, pingFrame('p'.repeat(125)), { n: 2 }]),
    [ONE, 'ping ' + 'p'.repeat(125), TWO]
  ]
]

const known = new Error('known')

/** Results that stop: the sent frames, the reason that `terminate` gets, and its state. */
const STOPS: ReadonlyArray<
  [name: string, act: Act, frames: string[], reason: object, state?: unknown]
> = [
  ['stop()', (ws) => ws.stop(), ['close 1000 '], { type: 'normal' }],
  ['stop(normal)', (ws) => ws.stop('normal'), ['close 1000 '], { type: 'normal' }],
  ['stop(restart)', (ws) => ws.stop('restart'), ['close 1012 '], { type: 'normal' }],
  [
    'stop(error)',
    (ws) => ws.stop(known),
    ['close 1011 '],
    { type: 'error', error: known, code: 1011 }
  ],
  ['stop(normal, code)', (ws) => ws.stop('normal', 4001), ['close 4001 '], { type: 'normal' }],
  [
    'stop(normal, [code, reason])',
    (ws) => ws.stop('normal', [4001, 'bye']),
    ['close 4001 bye'],
    { type: 'normal' }
  ],
  [
    'stop(restart, [code, reason])',
    (ws) => ws.stop('restart', [1013, 'later']),
    ['close 1013 later'],
    { type: 'normal' }
  ],
  [
    'stop(error, [code, reason])',
    (ws) => ws.stop(known, [4400, 'known']),
    ['close 4400 known'],
    { type: 'error', error: known, code: 4400 }
  ],
  [
    'stop with a reason of 123 bytes',
    (ws) => ws.stop('normal', [1000, REASON_OF_123_BYTES]),
    ['close 1000 ' + REASON_OF_123_BYTES],
    { type: 'normal' }
  ],
  [
    'stop with a message',
    (ws) => ws.stop('normal', undefined, { n: 1 }),
    [ONE, 'close 1000 '],
    { type: 'normal' }
  ],
  [
    'stop with a list',
    (ws) => ws.stop('normal', 3000, [{ n: 1 }, pingFrame('x'), { n: 2 }]),
    [ONE, 'ping x', TWO, 'close 3000 '],
    { type: 'normal' }
  ],
  [
    'stop with a state',
    (ws) => ws.stop('restart', undefined, undefined, 'last'),
    ['close 1012 '],
    { type: 'normal' },
    'last'
  ],
  [
    'stop with all',
    (ws) => ws.stop(known, [4999, 'z'], [{ n: 1 }], 'last'),
    [ONE, 'close 4999 z'],
    { type: 'error', error: known, code: 4999 },
    'last'
  ]
]

const MODES: ReadonlyArray<[name: string, wrap: (act: Act) => Act]> = [
  ['sync', (act) => act],
  ['async', (act) => (ws, state) => later(() => act(ws, state))]
]

for (const [mode, wrap] of MODES) {
  for (const callback of CALLBACKS) {
    void t.test(
      `each result of ${mode} ${callback} sends its frames and sets the state`,
      async (t) => {
        const trials = await startTrials(t)
        for (const [name, act, frames, state] of GOES_ON) {
          const { raw, trial } = await trials.open(t, callback, wrap(act))
          // An info is handled in a later turn than the frame that made the handler post it.
          await until(trial, 'calls')
          raw.write(askState)
          await raw.until(() => wire(raw).length > frames.length)
          const before = callback === 'init' ? undefined : 'first'
          t.same(
            wire(raw),
            [...frames, stateAnswer(state ?? before)],
            `${name}: frames, then the state`
          )
          t.same(trial.terminated, [], `${name}: terminate is not called`)
        }
      }
    )

    void t.test(
      `each stop of ${mode} ${callback} sends its frames, closes and terminates`,
      async (t) => {
        const trials = await startTrials(t)
        for (const [name, act, frames, reason, state] of STOPS) {
          const { raw, trial } = await trials.open(t, callback, wrap(act))
          t.same(await wireUntilClose(raw), frames, `${name}: frames`)
          await until(trial, 'terminated')
          const before = callback === 'init' ? undefined : 'first'
          t.same(trial.terminated, [{ reason, state: state ?? before }], `${name}: terminate`)
          if (reason === STOPS[3]?.[3]) {
            t.equal(
              (trial.terminated[0]?.reason as { error?: unknown }).error,
              known,
              'terminate gets the same error object'
            )
          }
        }
        t.same(trials.logs, [], 'a stop is not logged as a failure')
      }
    )
  }
}

void t.test('each valid close code is sent', async (t) => {
  const trials = await startTrials(t)
  const codes = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999
  ]
  for (const code of codes) {
    const { raw } = await trials.open(t, 'handleIn', (ws) => ws.stop('normal', [code, 'r']))
    t.same(await wireUntilClose(raw), [`close ${code} r`])
  }
  t.ok(
    Object.values(closeCodes).every(
      (code) => code === 1005 || code === 1006 || codes.includes(code)
    ),
    'they include every code of closeCodes that may be sent'
  )
})

void t.test('the frames of one result are sent without other frames between them', async (t) => {
  const list = Array.from({ length: 200 }, (_, n) => ({ n: n + 1 }))
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { send: Type.Object({ n: Type.Integer() }), info: Type.Integer() } },
      websocketHandler: {
        init (_args, ws) {
          ws.postInterval(0, 1)
          return ws.ok(undefined)
        },
        handleIn: async (_message, _state, ws) => later(() => ws.push(list)),
        handleInfo: (n, _state, ws) => ws.push({ n })
      }
    })
  })
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/'))
  await raw.until(() => wire(raw).length >= 2)
  // Pongs are sent automatically, so they would be the first frames between those of a result.
  for (let round = 0; round < 5; round++) raw.write(Buffer.concat([frame(9), text('go'), frame(9)]))
  await raw.until(() => wire(raw).filter((line) => line === 'text {"n":200}').length === 5)
  const numbers = raw
    .frames()
    .map(({ opcode, payload }) =>
      opcode === 1 ? (JSON.parse(payload.toString()) as { n: number }).n : -1
    )
  const starts = numbers.flatMap((n, at) => n === 1 ? [at] : [])
  t.equal(starts.length, 5)
  for (const start of starts) t.same(numbers.slice(start, start + 200), list.map(({ n }) => n))
})

void t.test('functions of ws can be destructured', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { info: Type.String() } },
      websocketHandler: {
        init (_args, { push, post, postAfter }) {
          post('one')
          postAfter('two', 1)
          return push('hello', [] as string[])
        },
        handleInfo (info, state, { ok, push, stop }) {
          const heard = [...state, info]
          if (info === 'one') return ok(heard)
          if (info === 'three') return stop('normal', [4000, 'bye'], heard.join())
          return push(heard.join(), heard)
        },
        handleIn (_message, _state, { post, pause, resume, postInterval }) {
          pause()
          resume()
          postInterval('three', 5)
          post('again')
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  t.equal(await client.next(), 'hello')
  t.equal(await client.next(), 'one,two')
  client.send('go')
  t.equal(await client.next(), 'one,two,again')
  t.equal(await client.next(), 'one,two,again,three')
  t.same(await client.closed, { code: 4000, reason: 'bye' })
})

void t.test('ws has the id, ref, log, signal and subprotocol of the connection', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/who', {
      websocketOptions: { subprotocols: ['b', 'a'] },
      websocketHandler: {
        init (_args, ws) {
          ws.log.warn('from init')
          return ws.push(
            JSON.stringify({
              id: ws.id,
              address: ws.ref.address,
              ref: ws.ref,
              subprotocol: ws.subprotocol,
              bufferedBytes: ws.bufferedBytes,
              aborted: ws.signal.aborted
            }),
            ws.id
          )
        },
        handleIn: (_message, id, ws) =>
          ws.push(
            JSON.stringify(
              // eslint-disable-next-line no-self-compare -- getters return the same each time
              ws.id === id && ws.ref === ws.ref && ws.signal === ws.signal && ws.log === ws.log
            )
          )
      }
    })
  })
  const seen = new Set<string>()
  for (const [protocols, subprotocol] of [[['a', 'b'], 'b'], [['a'], 'a'], [[], null]] as const) {
    const client = await connect(t, server.url('/who'), { protocols: [...protocols] })
    const { id, ...rest } = await client.nextJson<{ id: string }>()
    t.same(rest, { address: id, ref: id, subprotocol, bufferedBytes: 0, aborted: false })
    t.match(server.logs.at(-1), { msg: 'from init', websocket: id, route: '/who' })
    client.send('same?')
    t.equal(await client.next(), 'true', 'the same in each callback')
    seen.add(id)
  }
  t.equal(seen.size, 3, 'ids are unique')
})

void t.test('a paused connection reads nothing more until it is resumed', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { info: Type.Union([Type.Literal('pause'), Type.Literal('resume')]) } },
      websocketHandler: {
        init: (_args, ws) => ws.push(ws.ref.address, [] as string[]),
        handleIn: ({ data }, state, ws) => ws.push(String(data), [...state, String(data)]),
        handleInfo (info, state, ws) {
          ws[info]()
          return ws.push(`${info} after ${state.length}`)
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  const ref = server.app.websock.ref(String(await client.next()))
  ref.post('pause')
  t.equal(await client.next(), 'pause after 0')
  client.send('while paused')
  // The bytes are in the kernel. The round trip of another connection then makes the event loop
  // check all sockets.
  const other = await connect(t, server.url('/'))
  await other.next()
  for (let n = 0; n < 5; n++) {
    other.send('round')
    await other.next()
  }
  ref.post('resume')
  t.equal(await client.next(), 'resume after 0', 'no message was read while paused')
  t.equal(await client.next(), 'while paused', 'no message is lost')
})

void t.test('bufferedBytes counts the bytes that the socket has not sent', async (t) => {
  const length = 16 << 20
  let noted: (bytes: number) => void
  const bytes = new Promise<number>((resolve) => { noted = resolve })
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { maxBufferedBytes: 1 << 30, closeTimeoutMs: 50 },
      websocketHandler: {
        handleIn ({ data }, _state, ws) {
          if (data === 'fill') return ws.push(Buffer.alloc(length))
          noted(ws.bufferedBytes)
        }
      }
    })
  })
  const raw = await connectRaw(t, server.port)
  raw.socket.pause()
  raw.write(handshake('/')).write(Buffer.concat([text('fill'), text('look')]))
  const waiting = await bytes
  t.ok(waiting > length / 4 && waiting <= length + 10, `${waiting} of ${length} bytes wait`)
})
