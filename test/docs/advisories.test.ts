import { setImmediate as turn } from 'node:timers/promises'
import { constants, deflateRawSync } from 'node:zlib'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketHandler } from '../../src/index.ts'
import { ask, connect, refused, type Client } from '../helpers/client.ts'
import { connectRaw, exchange, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

// Attacks of published advisories. The title of each test names advisories of SECURITY.md.

interface Pusher { push: (text: string) => unknown }

const echo: WebsocketHandler = { handleIn: (message, _state, ws) => ws.push(message) }

async function openRaw (
  t: Teardown,
  { port }: TestServer,
  path: string,
  headers: Record<string, string> = {}
): Promise<RawClient> {
  const raw = await connectRaw(t, port)
  raw.write(handshake(path, headers))
  return raw.until((client) => client.status === 101 && client.text.includes('\r\n\r\n'))
}

/** The received close frame: its code and reason. */
async function closeFrameOf (raw: RawClient): Promise<string> {
  const closing = () => raw.frames().find(({ opcode }) => opcode === 8)
  await raw.until(() => closing() !== undefined)
  const { payload } = closing() as { payload: Buffer }
  return `${payload.readUInt16BE(0)} ${payload.subarray(2).toString()}`
}

async function isServed (bystander: Client): Promise<boolean> {
  bystander.send('still there?')
  return await bystander.next() === 'still there?'
}

void t.test('CVE-2022-39386: a malformed frame closes 1002', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', { websocketHandler: echo })
    app.get('/subprotocol', {
      websocketOptions: { subprotocols: ['graphql-ws'] },
      websocketHandler: echo
    })
    app.get('/slow', {
      onRequest: async () => { await turn() },
      websocketHandler: { ...echo, init: async () => { await turn() } }
    })
    app.get('/foreign', { websocket: true }, (socket) => {
      socket.on('message', () => {})
    })
  }, { websock: { closeTimeoutMs: 200 } })
  const bystander = await connect(t, server.url('/'))
  // The first one is that of the advisory: reserved bit 2, and no mask.
  const malformed = [
    Buffer.from([0xa2, 0x00]),
    ...[1, 2, 4].map((rsv) => frame(2, 'x', { rsv })),
    frame(3, 'x'),
    Buffer.from([0x81, 0x01, 0x78])
  ]
  for (const path of ['/', '/subprotocol', '/slow', '/foreign']) {
    for (const bytes of malformed) {
      for (const together of [false, true]) {
        const label = `${path} ${bytes.toString('hex')}${together ? ' with the handshake' : ''}`
        const raw = await connectRaw(t, server.port)
        const head = Buffer.from(handshake(
          path,
          path === '/subprotocol' ? { 'Sec-WebSocket-Protocol': 'graphql-ws' } : {}
        ))
        if (together) raw.write(Buffer.concat([head, bytes]))
        else {
          (await raw.write(head).until((client) => client.text.includes('\r\n\r\n'))).write(bytes)
        }
        t.equal(await closeFrameOf(raw), '1002 ', label)
        raw.socket.destroy()
        t.ok(await isServed(bystander), label)
      }
    }
  }
})

void t.test('CVE-2024-37890: more headers than Node reads are answered 431', async (t) => {
  const server = await startServer(t, (app) => { app.get('/', { websocketHandler: echo }) })
  const bystander = await connect(t, server.url('/'))
  const many = Array.from({ length: 2000 }, (_, i) => `${i.toString(36)}: x`)
  const [line = '', ...rest] = handshake('/').split('\r\n')
  const answer = await exchange(t, server.port, [line, ...many, ...rest].join('\r\n'))
  t.equal(answer.status, 431)
  t.match(answer.body, /FST_WEBSOCK_TOO_MANY_HEADERS/)
  t.ok(await isServed(bystander))
})

void t.test('CVE-2026-48779, CVE-2026-42786, CVE-2026-33151: fragments are bounded', async (t) => {
  const called: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', { websocketHandler: { handleIn: (message) => { called.push(message) } } })
    app.get('/echo', { websocketHandler: echo })
  }, { websock: { closeTimeoutMs: 200 } })
  const bystander = await connect(t, server.url('/echo'))
  const rows = [
    { what: 'no byte', payload: Buffer.alloc(0), enough: 16_383, close: '1008 ' },
    { what: 'one byte', payload: Buffer.alloc(1, 'x'), enough: 16_383, close: '1008 ' },
    { what: '32 KiB', payload: Buffer.alloc(32_768, 'x'), enough: 31, close: '1009 ' }
  ]
  for (const { what, payload, enough, close } of rows) {
    const raw = await openRaw(t, server, '/')
    const part = frame(0, payload, { fin: false })
    raw.write(Buffer.concat([
      frame(1, payload, { fin: false }),
      ...Array.from({ length: enough }, () => part),
      frame(9, 'allowed so far')
    ]))
    await raw.until((client) => client.frames().length === 1)
    t.equal(raw.frames()[0]?.opcode, 10, `${what}: a pong`)
    raw.write(part)
    t.equal(await closeFrameOf(raw), close, `fragments of ${what}`)
  }
  t.same(called, [])
  t.ok(await isServed(bystander))
})

void t.test('CVE-2026-39804, CVE-2016-10542, CVE-2016-10544: a compression bomb', async (t) => {
  const called: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: true, closeTimeoutMs: 200 },
      websocketHandler: { handleIn: (message) => { called.push(message) } }
    })
  })
  // After a full flush no data refers back, so the block of 1 MiB of zeros can be repeated.
  const block = deflateRawSync(Buffer.alloc(1024 * 1024), { finishFlush: constants.Z_FULL_FLUSH })
  const bomb = Buffer.concat(Array.from({ length: 512 }, () => block))
  t.ok(bomb.length < 1024 * 1024, 'it is within maxMessageBytes before inflation')
  const parts = Array.from({ length: Math.ceil(bomb.length / 60_000) }, (_, i) =>
    bomb.subarray(i * 60_000, (i + 1) * 60_000)
  )
  const raw = await openRaw(t, server, '/', { 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  t.match(raw.text, /sec-websocket-extensions: permessage-deflate/i)
  const before = process.resourceUsage().maxRSS
  raw.write(Buffer.concat(
    parts.map((part, i) =>
      frame(i === 0 ? 2 : 0, part, { fin: i === parts.length - 1, rsv: i === 0 ? 4 : 0 })
    )
  ))
  t.equal(await closeFrameOf(raw), '1009 ')
  const grownMib = (process.resourceUsage().maxRSS - before) / 1024
  t.ok(grownMib < 64, `the process had ${grownMib} MiB more at its peak`)
  t.same(called, [])
})

void t.test('CVE-2022-2421, CVE-2023-32695, CVE-2024-38355: event names are data', async (t) => {
  // The names are no literals of the schema, so the types know no `say`.
  const handler = {
    on: { event: { say: (_message: unknown, _state: unknown, ws: Pusher) => ws.push('"said"') } },
    handleIn: (message: unknown, _state: unknown, ws: Pusher) => ws.push(JSON.stringify(message))
  }
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: {
        websocket: {
          receive: Type.Object({ event: Type.Unknown() }, { additionalProperties: true })
        }
      },
      websocketHandler: handler as never
    })
  })
  const url = server.url('/')
  const bystander = await connect(t, url)
  for (const event of [
    'constructor', 'toString', 'hasOwnProperty', 'connect', 'disconnect', 'error', '', 0, null,
    true, ['say'], { say: 1 }, { toString: 'say' }
  ]) {
    t.equal(await ask(t, url, { event }), JSON.stringify({ event }), JSON.stringify(event))
  }
  const placeholder = '{"event":"file","data":{"_placeholder":true,"num":"splice"}}'
  t.equal(await ask(t, url, placeholder), placeholder)
  for (const message of [
    '{"event":"say","__proto__":{"x":1}}',
    '{"event":"say","constructor":{"prototype":{"x":1}}}',
    '51-["say"]',
    '2["say"'
  ]) {
    const client = await connect(t, url)
    client.send(message)
    t.equal((await client.closed).code, 1007, message)
  }
  bystander.send({ event: 'say' })
  t.equal(await bystander.next(), '"said"')
})

void t.test('CVE-2026-25224: a web stream is read no faster than its client reads', async (t) => {
  let pulled = 0
  let cancel: () => void = () => {}
  const cancelled = new Promise<void>((resolve) => { cancel = resolve })
  const server = await startServer(t, (app) => {
    app.get('/', {
      onRequest: async (_request, reply) =>
        reply.code(403).send(new ReadableStream({
          pull (controller) {
            pulled++
            controller.enqueue(Buffer.alloc(65_536))
          },
          cancel
        })),
      websocketHandler: echo
    })
    app.get('/echo', { websocketHandler: echo })
  }, { websock: { upgradeTimeoutMs: 300, closeTimeoutMs: 100 } })
  const bystander = await connect(t, server.url('/echo'))
  const raw = await connectRaw(t, server.port)
  raw.socket.pause()
  raw.write(handshake('/'))
  await cancelled
  // The kernel buffers a few MiB of a loopback connection.
  t.ok(pulled > 0 && pulled * 65_536 < 16 * 1024 * 1024, `${pulled} times 64 KiB`)
  t.ok(await isServed(bystander))
})

void t.test('CVE-2021-32640, CVE-2020-7662, GHSA-5v72-xg48-5rpm: long headers', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { subprotocols: ['b'], compress: true },
      websocketHandler: echo
    })
  }, { fastify: { http: { maxHeaderSize: 131_072 } } as never })
  const rows: Array<{ name: string, value: string, status: number }> = [
    { name: 'Sec-WebSocket-Protocol', value: `b${' '.repeat(100_000)}x`, status: 400 },
    { name: 'Sec-WebSocket-Protocol', value: `${' ,'.repeat(50_000)}b`, status: 400 },
    { name: 'Sec-WebSocket-Extensions', value: `a; b="${'\\c'.repeat(50_000)}`, status: 400 },
    { name: 'Sec-WebSocket-Extensions', value: `a${' '.repeat(100_000)}b`, status: 400 },
    { name: 'Origin', value: `http://${'a.'.repeat(50_000)}example`, status: 403 },
    ...[
      'constructor',
      '__proto__',
      'toString; constructor=1',
      'permessage-deflate; __proto__',
      'permessage-deflate; constructor'
    ].map((value) => ({ name: 'Sec-WebSocket-Extensions', value, status: 101 }))
  ]
  for (const { name, value, status } of rows) {
    const raw = await connectRaw(t, server.port)
    // The time of this process, which is the server's too, whatever else the machine does.
    const before = process.cpuUsage()
    raw.write(handshake('/', { [name]: value }))
    await raw.until((client) => client.text.includes('\r\n\r\n'))
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    t.equal(raw.status, status, `${name}: ${value.slice(0, 40)}`)
    t.notMatch(raw.text, /\r\nsec-websocket-extensions:/i)
    // Quadratic time would be many seconds.
    t.ok(tookMs < 2000, `${name}: ${value.slice(0, 40)} took ${tookMs} ms`)
    raw.socket.destroy()
  }
})

void t.test('CVE-2026-45736: a close reason that is no string sends no memory', async (t) => {
  for (const reason of [
    new Float32Array(20),
    new Uint8Array(20),
    Buffer.alloc(20),
    new ArrayBuffer(20),
    20
  ]) {
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          handleIn: (_message, _state, ws) => ws.stop('normal', [1000, reason as never])
        }
      })
    })
    const client = await connect(t, server.url('/'))
    client.send('close')
    t.same(await client.closed, { code: 1011, reason: '' })
    t.match(server.logs, [{ err: { code: 'FST_WEBSOCK_UNSENDABLE' } }])
  }
})

void t.test('CVE-2026-3635, CVE-2026-16732: headers of a proxy that is not trusted', async (t) => {
  for (const trustProxy of [undefined, false, '10.0.0.1', ['10.0.0.0/8'], 1]) {
    const label = `trustProxy: ${JSON.stringify(trustProxy)}`
    const server = await startServer(t, (app) => { app.get('/', { websocketHandler: echo }) }, {
      fastify: trustProxy === undefined ? {} : { trustProxy: trustProxy as never },
      websock: { maxConnectionsPerKey: 1 }
    })
    const forged = (i: number) => ({
      'X-Forwarded-For': `192.0.2.${i}`,
      Forwarded: `for=192.0.2.${i}`
    })
    t.equal(
      (
        await refused(server.url('/'), {
          origin: 'http://evil.example',
          headers: { 'X-Forwarded-Host': 'evil.example' }
        })
      ).status,
      403,
      label
    )
    await connect(t, server.url('/'), { headers: forged(1) })
    t.equal((await refused(server.url('/'), { headers: forged(2) })).status, 429, label)
  }
})

void t.test('CWE-1385: a page of another origin gets 403, also with cookies', async (t) => {
  const called: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      preValidation: async () => { called.push('preValidation') },
      preHandler: async () => { called.push('preHandler') },
      websocketHandler: { init: () => { called.push('init') } }
    })
  })
  const headers = { Cookie: 'session=valid' }
  for (const origin of [
    'https://evil.example',
    'http://127.0.0.1.evil.example',
    'http://evil-127.0.0.1',
    'null',
    'http://127.0.0.1@evil.example'
  ]) {
    const refusal = await refused(server.url('/'), { origin, headers })
    t.equal(refusal.status, 403, origin)
    t.equal(refusal.json().code, 'FST_WEBSOCK_ORIGIN_REFUSED')
  }
  t.same(called, [])
  await connect(t, server.url('/'), { origin: 'http://127.0.0.1:5000', headers })
  t.same(called, ['preValidation', 'preHandler', 'init'])
})

void t.test('no log has messages, no frame has error texts; Fastify logs the URL', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: {
        websocket: {
          receive: Type.Object(
            { text: Type.String({ maxLength: 50 }) },
            { additionalProperties: false }
          )
        }
      },
      websocketHandler: {
        handleIn: ({ text }) => {
          if (text === 'fail') throw new Error('database at 10.1.2.3')
        }
      }
    })
    app.get('/hook', {
      onRequest: async () => { throw new Error('hook text') },
      websocketHandler: echo
    })
  }, { level: 'trace' })
  const sent = [
    text('{"text":"s3cret'),
    text('{"text":"s3cret","more":"s3cret"}'),
    text(JSON.stringify({ text: 's3cret'.repeat(20) })),
    text('"s3cret"'),
    frame(2, 's3cret'),
    frame(1, 's3cret', { rsv: 2 }),
    text('{"text":"fail"}')
  ]
  const closes: string[] = []
  for (const bytes of sent) {
    const raw = (
      await openRaw(t, server, '/?token=t0ken', {
        Cookie: 'session=c00kie',
        Authorization: 'Bearer b3arer'
      })
    ).write(bytes)
    closes.push(await closeFrameOf(raw))
    raw.socket.destroy()
  }
  t.same(closes, [
    '1007 message cannot be decoded', '1008 message does not match',
    '1008 message does not match', '1008 message does not match',
    '1007 message cannot be decoded', '1002 ', '1011 '
  ])
  const log = server.logs.map((line) => JSON.stringify(line))
  t.equal(log.filter((line) => /s3cret|c00kie|b3arer/.test(line)).length, 0)
  t.equal(log.filter((line) => line.includes('10.1.2.3')).length, 1)
  t.same(
    server.logs.filter((line) => JSON.stringify(line).includes('t0ken'))
      .map(({ level, msg }) => `${level} ${msg}`),
    sent.map(() => '30 incoming request')
  )
  t.same(
    server.logs.filter(({ msg }) => msg === 'request completed'),
    [],
    'an upgrade is not logged as completed'
  )
  // Before the 101 Fastify's error handler answers. Its default sends the message of the error.
  t.match(await refused(server.url('/hook')), { status: 500, body: /hook text/ })
})
