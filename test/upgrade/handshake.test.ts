import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { connect, refused } from '../helpers/client.ts'
import { connectRaw, exchange, handshake, parseAnswers, text, type Answer } from '../helpers/raw.ts'
import { startServer, type Teardown } from '../helpers/server.ts'

const HOUR = 3_600_000

const schema = {
  params: Type.Object({ id: Type.Integer() }),
  querystring: Type.Object({ since: Type.Optional(Type.Integer({ minimum: 0 })) }),
  headers: Type.Object({ 'x-level': Type.Optional(Type.Integer()) })
}

function start (t: Teardown) {
  return startServer(t, (app) => {
    app.get('/ws', { websocketHandler: {} })
    app.get('/both', { websocketHandler: {}, handler: () => 'plain' })
    app.get('/spoken', {
      websocketOptions: { subprotocols: ['v2', 'v1'], requireSubprotocol: true },
      websocketHandler: {}
    })
    app.get('/deflate', { websocketOptions: { compress: true }, websocketHandler: {} })
    app.get('/typed/:id', { schema, websocketHandler: {} })
    app.get('/page', () => 'page')
    // With an hour for `closeTimeoutMs`, a socket that ends within the 20 s of a test was ended by
    // the answer.
  }, { websock: { closeTimeoutMs: HOUR, upgradeTimeoutMs: HOUR } })
}

interface Row {
  name: string
  bytes: string | Uint8Array
  status: number
  code?: string
  headers?: Record<string, string[]>
  /** Asserted only where it is given. */
  message?: string
}

const BAD = 'FST_WEBSOCK_BAD_HANDSHAKE'
const KEY =
  'Not a WebSocket handshake (RFC 6455 §4.2.1): Sec-WebSocket-Key must be 16 bytes in base64'
const LIST = 'Not a WebSocket handshake (RFC 6455 §4.2.1): ' +
  'Sec-WebSocket-Protocol must be a list of different tokens'
const SPOKEN = 'One of these subprotocols is required: v2, v1'
const VERSION = {
  'sec-websocket-version': ['13'],
  upgrade: ['websocket'],
  connection: ['upgrade, close']
}
const offer = (protocols: string) => handshake('/ws', { 'Sec-WebSocket-Protocol': protocols })
const deflate = (extensions: string) =>
  handshake('/deflate', { 'Sec-WebSocket-Extensions': extensions })
const withKey = (key: string | undefined) => handshake('/ws', { 'Sec-WebSocket-Key': key })

const bad = (name: string, bytes: string | Uint8Array, message: string): Row =>
  ({ name, bytes, status: 400, code: BAD, message })
const version = (name: string, bytes: string): Row =>
  ({ name, bytes, status: 426, code: 'FST_WEBSOCK_UNSUPPORTED_VERSION', headers: VERSION })

const REFUSALS: Row[] = [
  version('version 8', handshake('/ws', { 'Sec-WebSocket-Version': '8' })),
  version('no version', handshake('/ws', { 'Sec-WebSocket-Version': undefined })),
  version('two versions', handshake('/ws', { 'Sec-WebSocket-Version': '13, 8' })),
  version('the version twice', handshake('/ws', { 'sec-websocket-version': '13' })),
  version(
    'version 8 where plain GETs are served',
    handshake('/both', { 'Sec-WebSocket-Version': '8' })
  ),
  bad('no key', withKey(undefined), KEY),
  bad('an empty key', withKey(''), KEY),
  bad('a key of 15 bytes', withKey(Buffer.alloc(15).toString('base64')), KEY),
  bad('a key of 17 bytes', withKey(Buffer.alloc(17).toString('base64')), KEY),
  bad('a key in base64url', withKey('-_-_-_-_-_-_-_-_-_-_-A=='), KEY),
  bad('a key twice', handshake('/ws', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }), KEY),
  {
    name: 'no Host',
    bytes: handshake('/ws', { Host: undefined }),
    status: 400,
    code: BAD,
    message: 'Not a WebSocket handshake (RFC 6455 §4.2.1): Host is missing'
  },
  {
    name: 'HTTP/1.0',
    bytes: handshake('/ws', {}, 'GET /ws HTTP/1.0'),
    status: 400,
    code: BAD,
    message: 'Not a WebSocket handshake (RFC 6455 §4.2.1): HTTP must be 1.1'
  },
  {
    name: 'another origin',
    bytes: handshake('/ws', { Origin: 'https://evil.example' }),
    status: 403,
    code: 'FST_WEBSOCK_ORIGIN_REFUSED',
    message: 'Origin https://evil.example is not allowed here'
  },
  {
    name: 'no common subprotocol',
    bytes: handshake('/spoken', { 'Sec-WebSocket-Protocol': 'v3, v4' }),
    status: 400,
    code: 'FST_WEBSOCK_NO_SUBPROTOCOL',
    message: SPOKEN
  },
  {
    name: 'a subprotocol in another case',
    bytes: handshake('/spoken', { 'Sec-WebSocket-Protocol': 'V2' }),
    status: 400,
    code: 'FST_WEBSOCK_NO_SUBPROTOCOL',
    message: SPOKEN
  },
  {
    name: 'no subprotocol where one is required',
    bytes: handshake('/spoken'),
    status: 400,
    code: 'FST_WEBSOCK_NO_SUBPROTOCOL',
    message: SPOKEN
  },
  bad('a subprotocol twice', offer('a, b, a'), LIST),
  bad('an empty subprotocol', offer('a,,b'), LIST),
  bad('no subprotocol in the header', offer(''), LIST),
  // A non-breaking space is white space in Unicode.
  bad('a subprotocol with a non-breaking space', Buffer.from(offer('a\u00a0'), 'latin1'), LIST),
  bad('a subprotocol that is no token', offer('a b'), LIST),
  { name: 'malformed extensions', bytes: deflate('permessage-deflate; ='), status: 400, code: BAD },
  {
    name: 'wrong params',
    bytes: handshake('/typed/one'),
    status: 400,
    code: 'FST_ERR_VALIDATION',
    message: 'params/id must be integer'
  },
  {
    name: 'a wrong query',
    bytes: handshake('/typed/1?since=-1'),
    status: 400,
    code: 'FST_ERR_VALIDATION',
    message: 'querystring/since must be >= 0'
  },
  {
    name: 'wrong headers',
    bytes: handshake('/typed/1', { 'X-Level': 'high' }),
    status: 400,
    code: 'FST_ERR_VALIDATION',
    message: 'headers/x-level must be integer'
  },
  { name: 'a malformed URL', bytes: handshake('/%zz'), status: 400, code: 'FST_ERR_BAD_URL' },
  {
    name: 'an unknown route',
    bytes: handshake('/nowhere'),
    status: 404,
    message: 'Route GET:/nowhere not found'
  }
]

void t.test('an invalid upgrade is answered, and its socket is closed', async (t) => {
  const server = await start(t)
  for (const row of REFUSALS) {
    await t.test(row.name, async (t) =>
      checkRefusal(t, await exchange(t, server.port, row.bytes), row)
    )
    await t.test(`${row.name}, with a frame after the handshake`, async (t) =>
      checkRefusal(
        t,
        await exchange(t, server.port, Buffer.concat([Buffer.from(row.bytes), text('early')])),
        row
      )
    )
  }
  t.same(server.logs, [], 'a refused upgrade is not logged as a warning')
})

function checkRefusal (t: Test, answer: Answer, row: Row): void {
  const body = JSON.parse(Buffer.from(answer.body, 'latin1').toString()) as {
    statusCode: number
    code?: string
    message: string
  }
  t.equal(answer.status, row.status)
  t.match(body, {
    statusCode: row.status,
    ...(row.code === undefined ? {} : { code: row.code }),
    ...(row.message === undefined ? {} : { message: row.message })
  })
  t.match(answer.headers, { connection: ['close'], ...row.headers })
  if (row.headers === undefined) t.notOk('upgrade' in answer.headers)
}

void t.test("a plain GET gets 426, or the answer of the route's handler", async (t) => {
  const server = await start(t)
  const none = { 'Sec-WebSocket-Key': undefined, 'Sec-WebSocket-Version': undefined }
  const rows: Array<[string, Record<string, string | undefined>]> = [
    ['a plain GET', { ...none, Upgrade: undefined, Connection: undefined }],
    ['no Upgrade', { Upgrade: undefined }],
    ['no Connection', { Connection: undefined }],
    ['a Connection without upgrade', { Connection: 'keep-alive' }],
    ['an Upgrade to something else', { Upgrade: 'h2c' }],
    ['an Upgrade to a protocol that begins with websocket', { Upgrade: 'websocket2' }],
    ['an Upgrade to a version', { Upgrade: 'websocket/13' }]
  ]
  for (const [name, headers] of rows) {
    await t.test(name, async (t) => {
      const client = await connectRaw(t, server.port)
      client.write(handshake('/ws', headers))
      await client.until(({ text }) => text.includes('}'))
      const [answer] = parseAnswers(client.text)
      t.match(answer, { status: 426, headers: { upgrade: ['websocket'], connection: ['upgrade'] } })
      t.match(JSON.parse(answer?.body ?? ''), {
        statusCode: 426,
        code: 'FST_WEBSOCK_UPGRADE_REQUIRED',
        error: 'Upgrade Required'
      })
      client.bytes = Buffer.alloc(0)
      client.write(handshake('/both', headers))
      await client.until(({ text }) => text.includes('plain'))
      t.match(
        parseAnswers(client.text),
        [{ status: 200, body: 'plain' }],
        'the TCP connection is used again'
      )
    })
  }
})

void t.test('a client that asks to close gets its 426 and is closed', async (t) => {
  const server = await start(t)
  t.match(
    await exchange(t, server.port, 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
    { status: 426, headers: { upgrade: ['websocket'] } }
  )
  t.match(await exchange(t, server.port, 'GET /ws HTTP/1.0\r\nHost: a\r\n\r\n'), {
    status: 426,
    headers: { upgrade: ['websocket'] }
  })
})

void t.test('HEAD is answered like a plain GET without a body, also with Upgrade', async (t) => {
  const server = await start(t)
  for (const headers of [
    { Connection: 'close', Upgrade: undefined },
    { Connection: 'upgrade, close' }
  ]) {
    t.match(await exchange(t, server.port, handshake('/ws', headers, 'HEAD /ws HTTP/1.1')), {
      status: 426,
      headers: { upgrade: ['websocket'] },
      body: ''
    })
    t.match(await exchange(t, server.port, handshake('/both', headers, 'HEAD /both HTTP/1.1')), {
      status: 200,
      headers: { 'content-length': ['5'] },
      body: ''
    })
  }
})

void t.test('Upgrade and Connection are case-insensitive lists', async (t) => {
  const server = await start(t)
  for (const headers of [
    { Upgrade: 'foo, websocket' },
    { Upgrade: 'WebSocket,foo/1' },
    { Connection: 'keep-alive, Upgrade' },
    { Connection: 'UPGRADE' }
  ]) {
    const client = (await connectRaw(t, server.port)).write(handshake('/ws', headers))
    await client.until(({ text }) => text.includes('\r\n\r\n'))
    t.match(
      parseAnswers(client.text),
      [
        {
          status: 101,
          headers: {
            upgrade: ['websocket'],
            connection: ['Upgrade'],
            'sec-websocket-accept': ['s3pPLMBiTxaQ9kYGzzhZRbK+xOo=']
          }
        }
      ],
      JSON.stringify(headers)
    )
  }
})

void t.test("the order of the server's list selects the subprotocol", async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/ws', {
      websocketOptions: { subprotocols: ['v2', 'v1'] },
      websocketHandler: {
        init: (_args, ws) => ws.push(JSON.stringify({ subprotocol: ws.subprotocol }))
      }
    })
  })
  for (const [protocols, chosen] of [
    [['v1', 'v2'], 'v2'],
    [['v0', 'v1'], 'v1'],
    [[], null]
  ] as const) {
    const client = await connect(t, server.url('/ws'), { protocols: [...protocols] })
    t.same(await client.nextJson(), { subprotocol: chosen })
    t.equal(client.response.headers['sec-websocket-protocol'], chosen ?? undefined)
  }
  const client = (await connectRaw(t, server.port)).write(
    handshake('/ws', { 'Sec-WebSocket-Protocol': 'v3' })
  )
  await client.until((client) => client.frames().length === 1)
  t.equal(
    String(client.frames()[0]?.payload),
    '{"subprotocol":null}',
    'null without a common subprotocol, when none is required'
  )
  t.notMatch(client.text, /sec-websocket-protocol/i)
})

void t.test('the socket of a refused client is destroyed after closeTimeoutMs', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/ws', { websocketOptions: { closeTimeoutMs: 60 }, websocketHandler: {} })
    app.get('/hook', {
      websocketOptions: { closeTimeoutMs: 60, upgradeTimeoutMs: 60 },
      onRequest: () => {},
      websocketHandler: {}
    })
  }, { websock: { closeTimeoutMs: HOUR } })
  for (const [bytes, leastMs] of [
    [handshake('/ws', { Origin: 'https://evil.example' }), 60], [handshake('/hook'), 120]
  ] as const) {
    const opened = once(server.app.server, 'connection') as Promise<[Socket]>
    const client = await connectRaw(t, server.port, { allowHalfOpen: true })
    const [socket] = await opened
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(20_000) })
    const from = performance.now()
    client.write(bytes)
    await once(client.socket, 'end', { signal: AbortSignal.timeout(20_000) })
    t.ok(client.status === 403 || client.status === 503)
    await closed
    t.ok(performance.now() - from >= leastMs - 5, 'until then it is read')
  }
})

void t.test('a strict headers schema does not affect the handshake', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/ws', {
      schema: {
        headers: Type.Object({ 'x-level': Type.Integer() }, { additionalProperties: false })
      },
      websocketOptions: { subprotocols: ['v1'] },
      websocketHandler: {
        init: ({ headers }, ws) =>
          ws.push(JSON.stringify({ level: headers['x-level'], subprotocol: ws.subprotocol }))
      }
    })
  })
  const client = await connect(t, server.url('/ws'), {
    headers: { 'X-Level': '3' },
    protocols: ['v1']
  })
  t.same(await client.nextJson(), { level: 3, subprotocol: 'v1' })
  t.equal((await refused(server.url('/ws'), { protocols: ['v1'] })).status, 400)
})
