import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { typed, type InvalidMessage, type TerminateReason } from '../../src/index.ts'
import { connect, type Closed } from '../helpers/client.ts'
import { connectRaw, frame, handshake } from '../helpers/raw.ts'
import {
  startServer,
  type App,
  type ServerOptions,
  type Teardown,
  type TestServer
} from '../helpers/server.ts'

const Say = Type.Object({ event: Type.Literal('say'), text: Type.String() })

/** A route at `/` that echoes each valid message as JSON. */
function startEcho (
  t: Teardown,
  receive: object,
  options: ServerOptions = {}
): Promise<TestServer> {
  return startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: receive as typeof Say } },
      websocketHandler: { handleIn: (message, _state, ws) => ws.push(JSON.stringify(message)) }
    })
  }, options)
}

/** Sends one frame on a new connection. Returns the answer, or the close code and reason. */
async function ask (t: Teardown, server: TestServer, frame: string | Uint8Array): Promise<unknown> {
  const client = await connect(t, server.url('/'))
  client.send(frame)
  return await Promise.race([client.next(), client.closed]).catch(async () => await client.closed)
}

const undecodable: Closed = { code: 1007, reason: 'message cannot be decoded' }
const mismatch: Closed = { code: 1008, reason: 'message does not match' }

void t.test('a valid message is not changed, others close with 1007 or 1008', async (t) => {
  const server = await startEcho(
    t,
    Type.Object({ n: Type.Integer(), s: Type.Optional(Type.String({ default: 'filled' })) })
  )
  const cases: Array<[name: string, frame: string | Uint8Array, answer: unknown]> = [
    ['a message that matches', '{"n":1}', '{"n":1}'],
    [
      'a property that the schema does not name',
      '{"n":1,"more":{"a":[null]}}',
      '{"n":1,"more":{"a":[null]}}'
    ],
    ['a byte order mark before the message', '\ufeff{"n":1}', '{"n":1}'],
    ['a number as a string', '{"n":"1"}', mismatch],
    ['a boolean for a number', '{"n":true}', mismatch],
    ['null for a number', '{"n":null}', mismatch],
    ['a number for a string', '{"n":1,"s":2}', mismatch],
    ['an array around the message', '[{"n":1}]', mismatch],
    ['a bare null', 'null', mismatch],
    ['a bare string', '"n"', mismatch],
    ['an empty text', '', undecodable],
    ['text that ends too early', '{"n":1', undecodable],
    ['two messages in one', '{"n":1}{"n":1}', undecodable],
    ['a binary frame with good JSON in it', Buffer.from('{"n":1}'), undecodable],
    ['an empty binary frame', Buffer.alloc(0), undecodable]
  ]
  for (const [name, frame, answer] of cases) t.same(await ask(t, server, frame), answer, name)
  t.equal(server.logs.length, 0, 'an invalid message is not logged as a warning')
})

void t.test('additional properties are refused where the schema says so', async (t) => {
  const server = await startEcho(
    t,
    Type.Object({ n: Type.Integer() }, { additionalProperties: false })
  )
  t.equal(await ask(t, server, '{"n":1}'), '{"n":1}')
  t.same(await ask(t, server, '{"n":1,"more":1}'), mismatch)
})

void t.test(
  "keys that poison prototypes are refused, removed or left, as in Fastify's body parser",
  async (t) => {
    const proto = '{"a":{"__proto__":{"x":1}}}'
    const escaped = '{"a":{"\\u005f_proto__":{"x":1}}}'
    const constructor = '{"a":{"constructor":{"prototype":{"x":1}}}}'
    const harmless = '{"constructor":null,"a":{"constructor":{"name":"x"}}}'
    const cases: Array<[options: object, answers: Record<string, unknown>]> = [
      [
        {},
        {
          [proto]: undecodable,
          [escaped]: undecodable,
          [constructor]: undecodable,
          [harmless]: harmless
        }
      ],
      [
        { onProtoPoisoning: 'remove' },
        { [proto]: '{"a":{}}', [escaped]: '{"a":{}}', [constructor]: undecodable }
      ],
      [{ onConstructorPoisoning: 'remove' }, { [proto]: undecodable, [constructor]: '{"a":{}}' }],
      [
        { onProtoPoisoning: 'ignore', onConstructorPoisoning: 'ignore' },
        { [proto]: proto, [constructor]: constructor }
      ]
    ]
    for (const [fastify, answers] of cases) {
      for (const schema of [Type.Object({}), typed<{ event: 'say', text: string }>()]) {
        const server = await startEcho(t, schema, { fastify })
        for (const [frame, answer] of Object.entries(answers)) {
          t.same(await ask(t, server, frame), answer, `${JSON.stringify(fastify)}: ${frame}`)
        }
      }
    }
  }
)

void t.test(
  'handleInvalid gets the reason, the frame and the decoded message; its result counts',
  async (t) => {
    const problems: InvalidMessage[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        schema: {
          websocket: {
            receive: Say,
            send: Type.Object({ refused: Type.String(), before: Type.Integer() })
          }
        },
        websocketHandler: {
          init: (_args, ws) => ws.ok(0),
          handleInvalid: async (problem, before, ws) => {
            problems.push(problem)
            const answer = { refused: problem.kind, before }
            return before === 2
              ? ws.stop(problem.error, [problem.code, 'enough'], answer, 9)
              : ws.push(answer, before + 1)
          },
          handleIn: (message, before, ws) => ws.push({ refused: message.text, before })
        }
      })
    })
    const client = await connect(t, server.url('/'))
    for (const frame of [
      Buffer.from([1, 2, 3]),
      '{"event":',
      '{"event":"say","text":"fine"}',
      '{"event":"say"}'
    ]) {
      client.send(frame)
    }
    t.same(await client.nextJson(), { refused: 'opcode', before: 0 })
    t.same(await client.nextJson(), { refused: 'undecodable', before: 1 })
    t.same(await client.nextJson(), { refused: 'fine', before: 2 })
    t.same(await client.nextJson(), { refused: 'mismatch', before: 2 })
    t.same(await client.closed, { code: 1008, reason: 'enough' })
    t.same(
      problems.map(({ kind, code, frame }) => ({ kind, code, frame })),
      [
        { kind: 'opcode', code: 1007, frame: { opcode: 'binary', data: Buffer.from([1, 2, 3]) } },
        { kind: 'undecodable', code: 1007, frame: { opcode: 'text', data: '{"event":' } },
        { kind: 'mismatch', code: 1008, frame: { opcode: 'text', data: '{"event":"say"}' } }
      ]
    )
    t.same(
      problems.map(({ message }) => message),
      [undefined, undefined, { event: 'say' }]
    )
    t.ok(
      problems.every(
        ({ error }) => (error as { code?: string }).code === 'FST_WEBSOCK_INVALID_MESSAGE'
      )
    )
    t.same(
      problems.map(({ error }) => error.message),
      [
        'The client sent a binary message, but this route takes text messages',
        'The client sent a message that cannot be decoded',
        "The client sent a message that does not match: message must have required property 'text'"
      ]
    )
    t.ok(problems[1]?.error.cause instanceof SyntaxError)
  }
)

void t.test(
  'a handleInvalid that returns nothing leaves the connection open, one that throws closes it 1011',
  async (t) => {
    const server = await startServer(t, (app) => {
      for (const path of ['/quiet', '/broken']) {
        app.get(path, {
          schema: { websocket: { receive: Say, send: Type.String() } },
          websocketHandler: {
            handleInvalid: () => {
              if (path === '/broken') throw new Error('secret')
            },
            handleIn: (message, _state, ws) => ws.push(message.text)
          }
        })
      }
    })
    const quiet = await connect(t, server.url('/quiet'))
    quiet.send('{')
    quiet.send({ event: 'say', text: 'still here' })
    t.equal(await quiet.nextJson(), 'still here')
    const broken = await connect(t, server.url('/broken'))
    broken.send('{')
    t.same(await broken.closed, { code: 1011, reason: '' })
  }
)

void t.test(
  "a send schema strips other properties; what it cannot serialize is the handler's error",
  async (t) => {
    const reasons: unknown[] = []
    const server = await startServer(t, (app) => {
      const sends: Record<string, [schema: object, messages: unknown[]]> = {
        '/object': [
          Type.Object({ a: Type.Integer(), b: Type.Object({ c: Type.Optional(Type.Boolean()) }) }),
          [{ a: 1, secret: 2, b: { c: true, secret: 3 } }]
        ],
        '/union': [
          Type.Union([Say, Type.Object({ event: Type.Literal('count'), n: Type.Integer() })]),
          [
            { event: 'count', n: 1, secret: 2 },
            { event: 'say', text: 'a', n: 2 }
          ]
        ],
        '/plain-union': [
          Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]),
          [{ b: 'b', secret: 2 }]
        ],
        '/typed': [typed<unknown>(), [{ kept: [1, null] }, 'text', null]],
        '/missing': [Say, [{ event: 'say', text: 'first' }, { event: 'say' }]],
        '/unknown-event': [
          Type.Union([Say, Type.Object({ event: Type.Literal('count') })]),
          [{ event: 'constructor' }]
        ],
        '/function': [Type.Any(), [() => {}]],
        '/undefined': [Type.Any(), [undefined]],
        '/typed-function': [typed<unknown>(), [() => {}]],
        '/circular': [typed<unknown>(), [circular()]]
      }
      for (const [path, [send, messages]] of Object.entries(sends)) {
        app.get(path, {
          schema: { websocket: { send: send as typeof Say } },
          websocketHandler: {
            init: (_args, ws) => ws.ok('before'),
            handleIn: (_message, _state, ws) => ws.push(messages as never, 'after'),
            terminate: (reason, state) => {
              reasons.push([
                reason.type === 'error' && (reason.error as { code?: string }).code,
                state
              ])
            }
          }
        })
      }
    })
    const sent: Record<string, unknown[]> = {
      '/object': [{ a: 1, b: { c: true } }],
      '/union': [
        { event: 'count', n: 1 },
        { event: 'say', text: 'a' }
      ],
      '/plain-union': [{ b: 'b' }],
      '/typed': [{ kept: [1, null] }, 'text', null]
    }
    for (const [path, messages] of Object.entries(sent)) {
      const client = await connect(t, server.url(path))
      client.send('go')
      for (const message of messages) t.same(await client.nextJson(), message, path)
      client.close()
      await client.closed
    }
    for (const path of [
      '/missing',
      '/unknown-event',
      '/function',
      '/undefined',
      '/typed-function',
      '/circular'
    ]) {
      reasons.length = 0
      const client = await connect(t, server.url(path))
      client.send('go')
      t.same(await client.closed, { code: 1011, reason: '' }, path)
      t.same(client.received, [], `${path}: no message of the list is sent`)
      t.same(reasons, [['FST_WEBSOCK_UNSENDABLE', 'before']], path)
    }
  }
)

function circular (): object {
  const loop: Record<string, unknown> = {}
  return Object.assign(loop, { loop })
}

void t.test('without schemas frames are received and sent unchanged', async (t) => {
  const server = await startServer(t, (app: App) => {
    app.get('/', {
      websocketHandler: { handleIn: (message, _state, ws) => ws.push([message, message.data]) }
    })
    app.get('/wrong', {
      websocketHandler: {
        handleIn: (_message, _state, ws) =>
          ws.push({ opcode: 'text', data: Buffer.from('a') } as never)
      }
    })
  }, { websock: { maxMessageBytes: 4 * 1024 * 1024 } })
  const client = await connect(t, server.url('/'))
  const big = 'é'.repeat(1_500_000)
  for (const frame of [
    '',
    'text',
    big,
    Buffer.alloc(0),
    Buffer.from([0, 255, 128]),
    Buffer.alloc(3_000_000, 7)
  ]) {
    client.send(frame)
    for (let i = 0; i < 2; i++) {
      const answer = await client.next()
      t.equal(typeof answer, typeof frame)
      t.ok(Buffer.from(answer as string).equals(Buffer.from(frame as string)), `${frame.length}`)
    }
  }
  const wrong = await connect(t, server.url('/wrong'))
  wrong.send('')
  t.same(await wrong.closed, { code: 1011, reason: '' })
})

void t.test(
  'a message over maxMessageBytes closes with 1009, also when it was small before inflation',
  async (t) => {
    const reasons: unknown[] = []
    const server = await startServer(t, (app) => {
      for (const compress of [false, true]) {
        app.get(compress ? '/deflate' : '/plain', {
          websocketOptions: { maxMessageBytes: 10_000, compress },
          websocketHandler: {
            handleIn: (message, _state, ws) => ws.push(message.data),
            terminate: (reason) => {
              reasons.push(
                reason.type === 'error' && [reason.code, (reason.error as { code?: string }).code]
              )
            }
          }
        })
      }
    })
    for (const [path, extensions] of [
      ['/plain', ''],
      ['/deflate', 'permessage-deflate']
    ] as const) {
      const client = await connect(t, server.url(path), { perMessageDeflate: { threshold: 0 } })
      t.equal(client.socket.extensions, extensions)
      client.send('x'.repeat(10_000))
      t.equal(await client.next(), 'x'.repeat(10_000))
      client.send('x'.repeat(10_001))
      t.equal((await client.closed).code, 1009)
    }
    t.same(reasons, [
      [1009, 'FST_WEBSOCK_PROTOCOL_ERROR'],
      [1009, 'FST_WEBSOCK_PROTOCOL_ERROR']
    ])
  }
)

void t.test('invalid deflate data closes with 1007', async (t) => {
  const ends: TerminateReason[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: true },
      websocketHandler: {
        terminate: (reason) => {
          ends.push(reason)
        }
      }
    })
  })
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }))
  await raw.until(({ text }) => text.includes('\r\n\r\n'))
  t.match(raw.text, /sec-websocket-extensions: permessage-deflate/i)
  // Reserved bit 1 says that it is compressed (RFC 7692 §6).
  raw.write(frame(1, Buffer.from([0xff, 0xff, 0xff, 0xff]), { rsv: 4 }))
  await raw.until((client) => client.frames().length === 1)
  t.same(raw.frames(), [{ opcode: 8, payload: Buffer.from([1007 >> 8, 1007 & 0xff]) }])
  raw.socket.destroy()
  await server.app.close()
  t.match(ends, [{ type: 'error', code: 1007, error: { code: 'FST_WEBSOCK_PROTOCOL_ERROR' } }])
})
