import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import websock from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import {
  connectRaw,
  exchange,
  handshake,
  parseAnswers,
  text,
  type RawClient
} from '../helpers/raw.ts'
import { buildApp, listen, startServer, type Teardown } from '../helpers/server.ts'

const HOUR = 3_600_000
const BIG = JSON.stringify({ slow: 'x'.repeat(3 * 1024 * 1024) })

function start (t: Teardown) {
  return startServer(t, (app) => {
    app.get('/ws', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(`echo ${String(data)}`) }
    })
    app.get('/page', ({ headers }) => ({ page: headers['x-n'] ?? '0' }))
    app.post('/post', { bodyLimit: 16 * 1024 * 1024 }, ({ body }) => ({
      got: JSON.stringify(body).length,
      body: JSON.stringify(body).slice(0, 20)
    }))
    app.get('/ip', ({ ip, hostname }) => ({ ip, hostname }))
  }, { websock: { closeTimeoutMs: HOUR, upgradeTimeoutMs: HOUR } })
}

const h2c = (line: string, headers: string[] = [], body: string | Buffer = ''): Buffer =>
  Buffer.concat([
    Buffer.from(
      [
        `${line} HTTP/1.1`,
        'Host: 127.0.0.1',
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAAQ',
        ...headers,
        '',
        ''
      ].join('\r\n')
    ),
    Buffer.from(body as Buffer)
  ])

const post = (body: object, more: string[] = []): Buffer => {
  const json = JSON.stringify(body)
  return h2c(
    'POST /post',
    ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(json)}`, ...more],
    json
  )
}

const answers = async (client: RawClient, count: number) => {
  await client.until(({ text }) => parseAnswers(text).length === count && text.endsWith('}'))
  return parseAnswers(client.text)
}

void t.test('a request for another upgrade gets the same answer as without Upgrade', async (t) => {
  const server = await start(t)
  const rows: Array<[string, Buffer, number, string]> = [
    ['GET', h2c('GET /page'), 200, '{"page":"0"}'],
    ['GET of a websocket route', h2c('GET /ws'), 426, 'FST_WEBSOCK_UPGRADE_REQUIRED'],
    ['GET of an unknown route', h2c('GET /none'), 404, 'Not Found'],
    ['GET of a malformed URL', h2c('GET /%zz'), 400, 'FST_ERR_BAD_URL'],
    ['OPTIONS', h2c('OPTIONS /page'), 404, 'Not Found'],
    [
      'POST with a body',
      post({ hello: 'world' }),
      200,
      '{"got":17,"body":"{\\"hello\\":\\"world\\"}"}'
    ],
    [
      'POST with a chunked body',
      h2c(
        'POST /post',
        ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
        '5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n'
      ),
      200,
      '{"got":7,"body":"{\\"a\\":1}"}'
    ],
    [
      'POST with a body that is not JSON',
      h2c('POST /post', ['Content-Type: application/json', 'Content-Length: 3'], 'no!'),
      400,
      'FST_ERR_CTP_INVALID_JSON_BODY'
    ],
    [
      'POST that asks for a websocket',
      Buffer.from(
        handshake(
          '/post',
          { 'Content-Type': 'application/json', 'Content-Length': '2' },
          'POST /post HTTP/1.1'
        ) + '{}'
      ),
      200,
      '{"got":2,"body":"{}"}'
    ]
  ]
  for (const [name, bytes, status, body] of rows) {
    const client = (await connectRaw(t, server.port)).write(bytes)
    const [answer] = await answers(client, 1)
    t.equal(answer?.status, status, name)
    t.ok(answer?.body.includes(body))
    // Fastify closes the connection after a body that it could not read.
    if (body === 'FST_ERR_CTP_INVALID_JSON_BODY') continue
    client.write(h2c('GET /ip'))
    const [, next] = await answers(client, 2)
    t.match(
      JSON.parse(next?.body ?? ''),
      { ip: '127.0.0.1', hostname: '127.0.0.1' },
      'the connection is kept alive'
    )
  }
  const big = { data: 'x'.repeat(8 * 1024 * 1024) }
  const client = (await connectRaw(t, server.port)).write(post(big))
  t.match(
    JSON.parse((await answers(client, 1))[0]?.body ?? ''),
    { got: JSON.stringify(big).length },
    'a body of 8 MiB'
  )
  const expecting = (await connectRaw(t, server.port)).write(
    h2c('POST /post', [
      'Content-Type: application/json',
      'Content-Length: 2',
      'Expect: 100-continue'
    ])
  )
  await expecting.until(({ text }) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  expecting.write('{}')
  t.equal((await answers(expecting, 2))[1]?.status, 200, 'Expect: 100-continue')
  t.match(
    await exchange(
      t,
      server.port,
      'GET /page HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'
    ),
    { status: 200, body: '{"page":"0"}' }
  )
})

void t.test(
  'fifty requests for another upgrade and a websocket share one connection, without a warning',
  async (t) => {
    const server = await start(t)
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => {
      warnings.push(warning)
    }
    process.on('warning', onWarning)
    t.teardown(() => process.off('warning', onWarning))
    const opened = once(server.app.server, 'connection') as Promise<[Socket]>
    const client = await connectRaw(t, server.port)
    const [socket] = await opened
    for (let i = 0; i < 50; i++) {
      client.write(
        i % 2 === 0
          ? h2c('GET /page', [`X-N: ${i}`])
          : `GET /page HTTP/1.1\r\nHost: a\r\nX-N: ${i}\r\n\r\n`
      )
      const all = await answers(client, i + 1)
      t.equal(all[i]?.body, `{"page":"${i}"}`)
    }
    client.bytes = Buffer.alloc(0)
    client.write(handshake('/ws')).write(text('hi'))
    await client.until((client) => client.frames().length === 1)
    t.equal(String(client.frames()[0]?.payload), 'echo hi')
    t.same(warnings, [])
    for (const event of ['data', 'end', 'close', 'error', 'drain', 'timeout']) {
      t.ok(socket.listenerCount(event) < 5, `${socket.listenerCount(event)} for ${event}`)
    }
  }
)

// From 22.21 on Node itself keeps such a request in HTTP, and reads nothing after it, also without
// this plugin.
const skip = 'shouldUpgradeCallback' in createServer() && 'this Node answers only the first request'

void t.test(
  'requests pipelined behind a request for another upgrade are answered in order',
  { skip },
  async (t) => {
    const server = await start(t)
    const client = await connectRaw(t, server.port)
    client.write(
      Buffer.concat([
        h2c('GET /page', ['X-N: 1']),
        h2c('GET /page', ['X-N: 2']),
        post({}),
        Buffer.from('GET /page HTTP/1.1\r\nHost: a\r\nX-N: 3\r\n\r\n')
      ])
    )
    t.same(
      (await answers(client, 4)).map(({ body }) => body),
      ['{"page":"1"}', '{"page":"2"}', '{"got":2,"body":"{}"}', '{"page":"3"}']
    )
  }
)

void t.test('an upgrade behind an unanswered request waits for its answer', async (t) => {
  for (const [second, status] of [
    [Buffer.from(handshake('/ws')), 101],
    [h2c('GET /page'), 200]
  ] as const) {
    let release = (): void => {}
    let entered = (): void => {}
    const waiting = new Promise<void>((resolve) => { entered = resolve })
    const server = await startServer(t, (app) => {
      app.get('/slow', async (_request, reply) => {
        entered()
        await new Promise<void>((resolve) => { release = resolve })
        return reply
          .type('application/json')
          .header('content-length', BIG.length)
          .send(Readable.from(BIG.match(/.{1,65536}/g) as string[]))
      })
      app.get('/page', () => ({ page: true }))
      app.get('/ws', { websocketHandler: {} })
    }, { websock: { upgradeTimeoutMs: HOUR, closeTimeoutMs: HOUR } })
    const client = await connectRaw(t, server.port)
    client.write(Buffer.concat([Buffer.from('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n'), second]))
    await waiting
    await connect(t, server.url('/ws'))
    release()
    await client.until(({ text }) => /\r\n\r\n.*HTTP\/1.1.*\r\n\r\n/s.test(text))
    const [first, next] = parseAnswers(client.text)
    t.ok(first?.body === BIG, 'the answer to the first request is complete and first')
    t.equal(next?.status, status)
    client.socket.destroy()
    await server.app.close()
  }
})

void t.test(
  'a client that resets while its upgrade waits behind another request does no harm',
  async (t) => {
    let entered = (): void => {}
    const waiting = new Promise<void>((resolve) => {
      entered = resolve
    })
    const server = await startServer(t, (app) => {
      app.get('/slow', () => {
        entered()
        return new Promise(() => {})
      })
      app.get('/ws', { websocketHandler: { init: (_args, ws) => ws.push('open') } })
    })
    const opened = once(server.app.server, 'connection') as Promise<[Socket]>
    const client = await connectRaw(t, server.port)
    const [socket] = await opened
    const gone = new Promise((resolve) => socket.on('close', resolve))
    client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n' + handshake('/ws'))
    await waiting
    client.socket.resetAndDestroy()
    await gone
    t.equal(await (await connect(t, server.url('/ws'))).next(), 'open')
  }
)

void t.test(
  'a websocket upgrade of a plain route gets its HTTP answer, and the socket is closed',
  async (t) => {
    const server = await start(t)
    t.match(await exchange(t, server.port, handshake('/page', { 'X-N': '7' })), {
      status: 200,
      body: '{"page":"7"}',
      headers: { connection: ['close'] }
    })
    t.match(
      await exchange(
        t,
        server.port,
        Buffer.concat([Buffer.from(handshake('/page')), text('early')])
      ),
      { status: 200, body: '{"page":"0"}', headers: { connection: ['close'] } }
    )
    t.match(await exchange(t, server.port, handshake('/none')), {
      status: 404,
      headers: { connection: ['close'] }
    })
  }
)

void t.test('a server on localhost serves upgrades on both of its addresses', async (t) => {
  const { app } = buildApp(t)
  await app.register(websock)
  app.get('/ws', { websocketHandler: { init: (_args, ws) => ws.push('open') } })
  app.get('/page', () => ({ page: true }))
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses() as AddressInfo[]
  for (const { port, address } of addresses) {
    const host = address.includes(':') ? `[${address}]` : address
    t.equal(await (await connect(t, `ws://${host}:${port}/ws`)).next(), 'open')
    t.equal((await fetch(`http://${host}:${port}/ws`)).status, 426)
  }
  const { port } = addresses.find(({ address }) => address === '127.0.0.1') as AddressInfo
  const client = (await connectRaw(t, port)).write(h2c('GET /page'))
  t.match(await answers(client, 1), [{ status: 200, body: '{"page":true}' }])
  await app.close()
  await client.ended
})

void t.test(
  'a connection that has asked for another upgrade does not delay app.close()',
  async (t) => {
    const { app } = buildApp(t)
    await app.register(websock)
    app.get('/page', () => ({ page: true }))
    const server = await listen(app)
    const client = (await connectRaw(t, server.port)).write(h2c('GET /page'))
    await answers(client, 1)
    await app.close()
    await client.ended
    t.pass()
  }
)
