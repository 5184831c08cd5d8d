import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { pingFrame, typed, type InvalidMessage, type TextCodec } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'
import { later } from '../helpers/scripted-callbacks.ts'

const stray: unknown[] = []
process.on('unhandledRejection', (reason) => stray.push(reason))
process.on('uncaughtException', (error) => stray.push(error))

const trap = (): never => { throw new Error('trap') }
const unreadable = Object.assign(() => {}, { toString: trap })
const json: TextCodec = {
  opcode: 'text',
  decode: JSON.parse,
  encode: (message) => JSON.stringify(message)
}

/** A route that echoes each message. */
async function startEcho (
  t: Teardown,
  codec: object,
  receive: unknown = typed()
): Promise<TestServer> {
  return await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { codec: { ...json, ...codec } as TextCodec },
      schema: { websocket: { receive, send: typed() } },
      websocketHandler: { handleIn: (message, _state, ws) => ws.push(message as never) }
    })
  })
}

async function closeOf (t: Teardown, server: TestServer): Promise<unknown> {
  const client = await connect(t, server.url('/'))
  client.send('{"a":1}')
  return await client.closed
}

const failed = { code: 1011, reason: '' }

void t.test(
  'a codec that returns a promise closes with 1011, and the reason is logged',
  async (t) => {
    const promises: Array<() => unknown> = [
      async () => '{}',
      async () => {
        throw new Error('async')
      },
      () => ({ then: (_: unknown, reject: (e: Error) => void) => reject(new Error('thenable')) })
    ]
    for (const receive of [typed(), Type.Object({ a: Type.Integer() }), Type.Any()]) {
      for (const decode of promises) {
        const server = await startEcho(t, { decode }, receive)
        t.same(await closeOf(t, server), failed)
        t.match(server.logs, [
          {
            callback: 'handleIn',
            err: {
              code: 'FST_WEBSOCK_ASYNC',
              message: '`decode` of the codec returned a promise: it must be synchronous'
            }
          }
        ])
        t.equal(server.logs.length, 1)
      }
    }
    for (const encode of promises) {
      const server = await startEcho(t, { encode })
      t.same(await closeOf(t, server), failed)
      t.match(server.logs, [
        {
          err: {
            code: 'FST_WEBSOCK_UNSENDABLE',
            message: /`encode` of the codec returned a promise: it must be synchronous/
          }
        }
      ])
    }
  }
)

void t.test('a codec that throws an unreadable value fails like with any other', async (t) => {
  const thrown = [
    unreadable,
    new Proxy({}, { get: trap, getPrototypeOf: trap }),
    undefined,
    Object.defineProperty(new Error('x'), 'message', { get: trap })
  ]
  for (const what of thrown) {
    const encode = await startEcho(t, { encode () { throw what } })
    t.same(await closeOf(t, encode), failed)
    t.match(encode.logs, [{ level: 50, callback: 'handleIn' }])
    const decode = await startEcho(t, { decode () { throw what } })
    t.same(await closeOf(t, decode), { code: 1007, reason: 'message cannot be decoded' })
  }
})

void t.test('a ping carries text, any buffer or any view of one, of up to 125 bytes', async (t) => {
  const bytes = Uint8Array.from({ length: 8 }, (_, n) => n)
  const shared = new SharedArrayBuffer(8)
  new Uint8Array(shared).set(bytes)
  const { buffer } = bytes
  const all = Buffer.from(bytes)
  const pings: Array<[data: Parameters<typeof pingFrame>[0], sent: Buffer]> = [
    ['text', Buffer.from('text')],
    ['', Buffer.alloc(0)],
    [bytes, all],
    [Buffer.from(bytes), all],
    [buffer, all],
    [shared, all],
    [new Uint8Array(shared), all],
    [new DataView(buffer, 2, 3), all.subarray(2, 5)],
    [new Uint16Array(buffer, 2, 2), all.subarray(2, 6)],
    [new Float64Array(buffer), all],
    [new ArrayBuffer(125), Buffer.alloc(125)]
  ]
  const refused: unknown[] = [
    new ArrayBuffer(126),
    new DataView(new ArrayBuffer(200)),
    'é'.repeat(63),
    5,
    null,
    {},
    [1],
    Object.create(Uint8Array.prototype)
  ]
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn ({ data }, _state, ws) {
          const n = Number(data)
          return ws.push(
            n < 0 ? pingFrame(refused[-n - 1] as never) : [pingFrame(pings[n]?.[0]), `sent ${n}`]
          )
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  const seen: Buffer[] = []
  client.socket.on('ping', (data: Buffer) => seen.push(data))
  for (const n of pings.keys()) {
    client.send(`${n}`)
    t.equal(await client.next(), `sent ${n}`)
  }
  t.same(seen, pings.map(([, sent]) => sent))
  for (const n of refused.keys()) {
    const other = await connect(t, server.url('/'))
    other.send(`${-n - 1}`)
    t.same(await other.closed, failed, `refused ${n}`)
    t.match(server.logs.at(-1), {
      err: {
        code: 'FST_WEBSOCK_UNSENDABLE',
        message:
          n < 3
            ? /a ping has at most 125 bytes/
            : /pingFrame takes a string, a buffer or a view of one/
      }
    })
  }
})

void t.test('the error of an invalid message is created when it is read', async (t) => {
  const problems: InvalidMessage[] = []
  const { stackTraceLimit } = Error
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: Type.Object({ a: Type.Integer() }), send: Type.String() } },
      websocketHandler: {
        handleIn () {},
        handleInvalid: (problem, _state, ws) => {
          problems.push(problem)
          return ws.push(problem.kind)
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  for (const message of ['', Buffer.alloc(0), '{"__proto__":1}', '{"a":"x"}']) client.send(message)
  for (const kind of ['undecodable', 'opcode', 'undecodable', 'mismatch']) {
    t.equal(await client.next(), JSON.stringify(kind))
  }
  t.equal(Error.stackTraceLimit, stackTraceLimit)
  for (const problem of problems) {
    // Its stack begins here, so it was created here.
    const { error } = problem
    t.match(error.stack, 'foreign-code.test', problem.kind)
    t.equal(problem.error, error, 'it is created once')
    if (problem.kind !== 'undecodable') continue
    const { cause } = error as { cause?: unknown }
    t.type(cause, SyntaxError)
    t.notMatch((cause as Error).stack, /^ +at /m, 'the SyntaxError has no stack trace')
  }
})

void t.test('no failure above has caused an unhandled rejection or exception', async (t) => {
  await later(() => {})
  t.same(stray, [])
})
