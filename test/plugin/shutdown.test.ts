import { once } from 'node:events'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import t from 'tap'
import websock from '../../src/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { startEndings } from '../helpers/endings.ts'
import { connectRaw, exchange, handshake, parseAnswers, text } from '../helpers/raw.ts'
import { buildApp, startServer } from '../helpers/server.ts'
import { later, wire, wireUntilClose } from '../helpers/scripted-callbacks.ts'

async function timed (run: () => PromiseLike<unknown>): Promise<number> {
  const from = performance.now()
  await run()
  return performance.now() - from
}

void t.test('app.close() closes all connections with the shutdown code', async (t) => {
  for (const shutdownCode of [undefined, 1001, 1000, 1013, 4000]) {
    const reasons: unknown[] = []
    const server = await startServer(t, (app) => {
      app.get('/', { websocketHandler: { terminate: (reason) => { reasons.push(reason) } } })
      app.get('/foreign', { websocket: true }, () => {})
    }, { websock: shutdownCode === undefined ? {} : { shutdownCode } })
    const clients = await Promise.all(
      ['/', '/', '/', '/foreign'].map((path) => connect(t, server.url(path)))
    )
    await server.app.close()
    for (const client of clients) {
      t.same(await client.closed, { code: shutdownCode ?? 1012, reason: '' })
    }
    t.same(reasons, Array.from({ length: 3 }, () => ({ type: 'shutdown' })))
    t.same(server.logs, [])
    await t.rejects(connect(t, server.url('/')), { code: 'ECONNREFUSED' })
    await server.app.close()
  }
})

void t.test('onClose hooks run when every terminate has settled', async (t) => {
  const order: string[] = []
  const { app } = buildApp(t)
  app.addHook('onClose', async () => { order.push('onClose before') })
  await app.register(websock)
  app.addHook('onClose', async () => { order.push('onClose after') })
  app.get('/', {
    websocketHandler: {
      init: ({ request }, ws) => ws.ok(request.id),
      async terminate () {
        for (let turn = 0; turn < 5; turn++) await later(() => {})
        order.push('terminate')
      }
    }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`
  await Promise.all([connect(t, url), connect(t, url)])
  await app.close()
  t.same(order, ['terminate', 'terminate', 'onClose after', 'onClose before'])
})

void t.test(
  'clients that never answer the close frame delay app.close() by closeTimeoutMs',
  async (t) => {
    const endings = await startEndings(t, { init: (ws) => ws.ok('here') }, { closeTimeoutMs: 300 })
    const raws = await Promise.all(Array.from({ length: 20 }, () => endings.open(t)))
    const ms = await timed(() => endings.app.close())
    t.ok(ms >= 280 && ms < 5000, `${ms} ms`)
    for (const raw of raws) t.same(wire(raw), ['close 1012 '])
    t.equal(endings.ends.length, 20)
  }
)

void t.test(
  'paused, flooded and never reading clients do not delay app.close() longer',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        handleIn (data, ws) {
          if (data === 'pause') ws.pause()
          if (data === 'fill') return ws.push(Buffer.alloc(16 << 20) as never)
          if (data === 'hang') return new Promise(() => {})
        }
      },
      {
        closeTimeoutMs: 300,
        terminateTimeoutMs: 300,
        maxMailboxLength: 10,
        maxBufferedBytes: 1 << 30
      }
    )
    const paused = await endings.open(t)
    const answering = await connect(t, endings.url('/'))
    const flooded = await endings.open(t)
    const notReading = await endings.open(t)
    notReading.socket.pause()
    paused.write(text('pause'))
    answering.send('pause')
    flooded
      .write(text('hang'))
      .write(Buffer.concat(Array.from({ length: 1000 }, () => text('flood'))))
    notReading.write(text('fill'))
    await endings.until('calls', 8)
    const ms = await timed(() => endings.app.close())
    t.ok(ms >= 280 && ms < 5000, `${ms} ms`)
    t.same(
      await answering.closed,
      { code: 1012, reason: '' },
      'the close frame of a paused client is read'
    )
    t.same(wire(paused), ['close 1012 '])
    t.equal(endings.ends.length, 4)
    t.ok(endings.ends.every(({ reason }) => reason.type === 'shutdown'))
    t.equal(endings.calls.length, 8)
  }
)

void t.test('a paused client that answers delays app.close() no longer than another', async (t) => {
  const endings = await startEndings(t, { init: (ws) => ws.pause() }, { closeTimeoutMs: 20_000 })
  const client = await connect(t, endings.url('/'))
  const ms = await timed(() => endings.app.close())
  t.ok(ms < 10_000, `${ms} ms`)
  t.same(await client.closed, { code: 1012, reason: '' })
})

void t.test(
  'upgrades that wait for a hook get 503 at app.close(), also when it never answers',
  async (t) => {
    let asked = 0
    let allAsked = (): void => {}
    const hooked = new Promise<void>((resolve) => {
      allAsked = resolve
    })
    const server = await startServer(
      t,
      (app) => {
        app.get('/', {
          preHandler: () => {
            if (++asked === 2) allAsked()
            return new Promise(() => {})
          },
          websocketHandler: {
            init: () => {
              t.fail('no upgrade')
            }
          }
        })
      },
      { websock: { closeTimeoutMs: 300, upgradeTimeoutMs: 20_000 } }
    )
    const answering = refused(server.url('/'))
    // A client that never closes.
    const silent = await connectRaw(t, server.port, { allowHalfOpen: true })
    silent.write(handshake('/'))
    await hooked
    const ms = await timed(() => server.app.close())
    t.ok(ms >= 280 && ms < 5000, `${ms} ms`)
    const { status, headers, json } = await answering
    t.equal(status, 503)
    t.equal(headers['retry-after'], '5')
    t.equal(json().code, 'FST_WEBSOCK_DRAINING')
    t.match(parseAnswers(silent.text), [
      { status: 503, headers: { 'retry-after': ['5'], connection: ['close'] } }
    ])
  }
)

void t.test('upgrades that come while the server closes get 503', async (t) => {
  let release = (): void => {}
  const endings = await startEndings(
    t,
    {
      terminate: () =>
        new Promise<void>((resolve) => {
          release = resolve
        })
    },
    { terminateTimeoutMs: 20_000 }
  )
  const kept = await connectRaw(t, endings.port)
  const first = await endings.open(t)
  const closing = endings.app.close()
  await wireUntilClose(first)
  const late = await exchange(t, endings.port, handshake('/'))
  t.match(late, { status: 503, headers: { 'retry-after': ['5'] } })
  t.equal((JSON.parse(late.body) as { code: string }).code, 'FST_WEBSOCK_DRAINING')
  kept.write(handshake('/'))
  await kept.ended
  t.match(
    parseAnswers(kept.text),
    [{ status: 503, headers: { 'retry-after': ['5'] } }],
    'also on a connection that was opened before'
  )
  release()
  await closing
  t.equal(endings.calls.length, 1)
})

void t.test('both addresses of localhost are served and closed', async (t) => {
  const reasons: unknown[] = []
  const { app } = buildApp(t)
  await app.register(websock, { closeTimeoutMs: 300 })
  app.get('/', {
    websocketHandler: {
      handleIn: (_message, _state, ws) => ws.push('here'),
      terminate: (reason) => {
        reasons.push(reason.type)
      }
    }
  })
  await app.listen({ port: 0, host: 'localhost' })
  const addresses = app.addresses() as AddressInfo[]
  const clients = await Promise.all(
    addresses.map(({ address, family, port }) =>
      connect(t, `ws://${family === 'IPv6' ? `[${address}]` : address}:${port}/`)
    )
  )
  for (const client of clients) {
    client.send('?')
    t.equal(await client.next(), 'here')
  }
  await app.close()
  for (const client of clients) t.same(await client.closed, { code: 1012, reason: '' })
  t.same(reasons, addresses.map(() => 'shutdown'))
  for (const { address, port } of addresses) {
    const [error] = await once(connectTcp(port, address), 'error') as [{ code: string }]
    t.equal(error.code, 'ECONNREFUSED')
  }
})

void t.test('app.close() inside a callback closes all connections, the caller too', async (t) => {
  for (const callback of ['init', 'handleIn', 'terminate'] as const) {
    for (const awaited of [false, true]) {
      let closing: PromiseLike<unknown> = Promise.resolve()
      const close = (): unknown => {
        closing = endings.app.close()
        return awaited ? closing.then(() => {}) : undefined
      }
      const endings = await startEndings(
        t,
        callback === 'terminate'
          ? { handleIn: (_data, ws) => ws.stop(), terminate: close }
          : { [callback]: close }
      )
      const client = await connect(t, endings.url('/'))
      client.send('go')
      const code = callback === 'terminate' ? 1000 : 1012
      t.same(await client.closed, { code, reason: '' }, `${callback}${awaited ? ', awaited' : ''}`)
      const ms = await timed(() => closing)
      t.ok(ms < 5000, `${ms} ms`)
      // When a callback awaits app.close(), each waits for the other until terminateTimeoutMs,
      // which is logged.
      t.equal(endings.logs.length, awaited ? 1 : 0)
      if (callback !== 'init') t.equal(endings.ends.length, 1)
    }
  }
})

void t.test('a server that never listened, or was never ready, closes', async (t) => {
  for (const ready of [false, true]) {
    const { app } = buildApp(t)
    await app.register(websock)
    app.get('/', { websocketHandler: {} })
    if (ready) await app.ready()
    await app.close()
  }
  const { app } = buildApp(t)
  void app.register(websock)
  await app.close()
  t.pass('all closed')
})
