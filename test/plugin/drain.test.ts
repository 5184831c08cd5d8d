import { EventEmitter, once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { TerminateReason, WebsockOptions } from '../../src/index.ts'
import { connect, refused, type Client } from '../helpers/client.ts'
import { connectRaw, handshake } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

interface Drained extends TestServer {
  ends: TerminateReason[]
  drains: unknown[]
  open: (n: number) => Promise<Client[]>
}

async function startDrained (t: Teardown, options: WebsockOptions = {}): Promise<Drained> {
  const ends: TerminateReason[] = []
  const drains: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleDrain (info, _state, ws) {
          drains.push(info)
          return ws.push('the server restarts')
        },
        terminate: (reason) => { ends.push(reason) }
      }
    })
    app.get('/own', {
      websocketHandler: {
        handleDrain: (_info, _state, ws) => ws.stop('normal', [4001, 'come back'])
      }
    })
  }, { websock: options })
  return Object.assign(server, {
    ends,
    drains,
    open: (n: number) => Promise.all(Array.from({ length: n }, () => connect(t, server.url('/'))))
  })
}

void t.test('drain calls handleDrain, closes all connections, and refuses new ones', async (t) => {
  const server = await startDrained(t)
  const clients = await server.open(5)
  const own = await connect(t, server.url('/own'))
  const drained = server.app.websock.drain({ timeoutMs: 20_000 })
  for (const client of clients) {
    t.equal(await client.next(), 'the server restarts')
    t.same(await client.closed, { code: 1012, reason: '' })
  }
  t.same(await own.closed, { code: 4001, reason: 'come back' }, 'a handler may stop by itself')
  t.equal(await drained, 0)
  t.same(server.drains, Array.from({ length: 5 }, () => ({ timeoutMs: 20_000 })))
  t.same(server.ends, Array.from({ length: 5 }, () => ({ type: 'shutdown' })))
  const refusal = await refused(server.url('/'))
  t.equal(refusal.status, 503)
  t.equal(refusal.json().code, 'FST_WEBSOCK_DRAINING')
  t.match(refusal.headers['retry-after'], /^\d+$/)
  t.equal((await fetch(server.http('/nowhere'))).status, 404, 'HTTP requests are still answered')
})

/** A route whose callbacks wait for `go`. `log`: what is called, in order. */
async function startSlow (t: Teardown, options: WebsockOptions = {}): Promise<TestServer & {
  events: EventEmitter
  log: string[]
}> {
  const events = new EventEmitter()
  const log: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: ({ query }, ws) => ws.ok({ isSlow: (query as { slow?: string }).slow === '1' }),
        handleIn: async ({ data }, _state, ws) => {
          log.push(`handleIn ${String(data)}`)
          events.emit('holds')
          await once(events, 'go')
          log.push(`aborted: ${String(ws.signal.aborted)}`)
          if (data === 'stop') return ws.stop('normal', [4001, 'done'])
          return ws.push('stored')
        },
        handleDrain: async (_info, { isSlow }, ws) => {
          log.push('handleDrain')
          if (isSlow) {
            events.emit('holds')
            await once(events, 'go')
          }
          return ws.push('the server restarts')
        },
        terminate: ({ type }) => { log.push(`terminate ${type}`) }
      }
    })
  }, { websock: options })
  return Object.assign(server, { events, log })
}

void t.test(
  'the running callback and handleDrain finish before the close frame; waiting frames are dropped',
  async (t) => {
    for (const end of ['drain', 'close'] as const) {
      const server = await startSlow(t)
      const client = await connect(t, server.url('/'))
      const [holds, all] = [once(server.events, 'holds'), server.app.websock.connections]
      for (const message of ['one', 'two', 'three']) client.send(message)
      await holds
      const ended = end === 'drain' ? server.app.websock.drain() : server.app.close()
      for (let turn = 0; turn < 10; turn++) await nextTurn()
      t.same(client.received, [], 'nothing is sent while the callback runs')
      for (const { ref } of all) t.equal(ref.post('info'), false, 'infos are refused')
      server.events.emit('go')
      t.same(await client.closed, { code: 1012, reason: '' })
      t.same(client.received, ['stored', 'the server restarts'])
      await ended
      t.same(
        server.log,
        ['handleIn one', 'aborted: false', 'handleDrain', 'terminate shutdown'],
        end
      )
    }
  }
)

void t.test('an async handleDrain finishes before the close frame', async (t) => {
  const server = await startSlow(t)
  const client = await connect(t, server.url('/?slow=1'))
  const holds = once(server.events, 'holds')
  const drained = server.app.websock.drain()
  await holds
  const again = server.app.websock.drain()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  server.events.emit('go')
  t.same(await client.closed, { code: 1012, reason: '' })
  t.same(client.received, ['the server restarts'])
  t.same(await Promise.all([drained, again]), [0, 0])
  t.same(server.log, ['handleDrain', 'terminate shutdown'])
})

void t.test('a running callback may stop, and its peer close, while a drain waits', async (t) => {
  const server = await startSlow(t)
  const [stops, closes] = [await connect(t, server.url('/')), await connect(t, server.url('/'))]
  for (const client of [stops, closes]) {
    const holds = once(server.events, 'holds')
    client.send(client === stops ? 'stop' : 'close')
    await holds
  }
  const drained = server.app.websock.drain()
  for (let turn = 0; turn < 10; turn++) await nextTurn()
  closes.close(4000)
  t.equal((await closes.closed).code, 4000)
  server.events.emit('go')
  t.same(await stops.closed, { code: 4001, reason: 'done' })
  t.equal(await drained, 0)
  t.same(server.log.filter((line) => line.startsWith('terminate')).sort(), [
    'terminate normal',
    'terminate remote'
  ])
})

void t.test('a drain abandons a callback that never ends after terminateTimeoutMs', async (t) => {
  const server = await startSlow(t, { terminateTimeoutMs: 200 })
  const client = await connect(t, server.url('/'))
  const holds = once(server.events, 'holds')
  client.send('one')
  await holds
  t.equal(await server.app.websock.drain(), 0)
  t.same(await client.closed, { code: 1012, reason: '' })
  t.same(client.received, [])
  t.same(server.log, ['handleIn one', 'terminate shutdown'])
  t.match(server.logs.map(({ err }) => err?.code), ['FST_WEBSOCK_CALLBACK_TIMEOUT'])
  server.events.emit('go')
})

void t.test('batches are closed one after the other', async (t) => {
  const server = await startDrained(t, { drain: { batchSize: 2, batchIntervalMs: 400 } })
  const clients = await server.open(5)
  const from = performance.now()
  const at = clients.map(async (client) => {
    await client.closed
    return performance.now() - from
  })
  t.equal(await server.app.websock.drain(), 0)
  const times = await Promise.all(at)
  t.ok(
    times[2] as number >= 395 && times[4] as number >= 795,
    `the other batches after their intervals: ${times.join(' ')}`
  )
})

void t.test('after timeoutMs the remaining connections are destroyed and counted', async (t) => {
  const server = await startDrained(t, { drain: { timeoutMs: 1500 }, closeTimeoutMs: 60_000 })
  const silent = await Promise.all(Array.from({ length: 3 }, async () => {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    return raw.until(({ text }) => text.includes('\r\n\r\n'))
  }))
  const [polite] = await server.open(1)
  const from = performance.now()
  t.equal(await server.app.websock.drain(), 3)
  t.ok(performance.now() - from < 20_000)
  t.equal((await polite?.closed)?.code, 1012)
  await Promise.all(silent.map((raw) => raw.ended))
  t.same(server.ends, Array.from({ length: 4 }, () => ({ type: 'shutdown' })))
})

void t.test('after timeoutMs waiting batches get the close frame, too', async (t) => {
  const server = await startDrained(t, {
    drain: { batchSize: 2, batchIntervalMs: 60_000, timeoutMs: 1500 }
  })
  const clients = await server.open(4)
  t.equal(await server.app.websock.drain(), 2, 'the first two were closed at once')
  t.same(
    (await Promise.all(clients.map((client) => client.closed))).map(({ code }) => code).sort(),
    [1012, 1012, 1012, 1012]
  )
})

void t.test('a callback that hangs until timeoutMs does not cost the close frame', async (t) => {
  const server = await startSlow(t, { terminateTimeoutMs: 500 })
  const client = await connect(t, server.url('/'))
  const holds = once(server.events, 'holds')
  client.send('hangs')
  await holds
  t.equal(await server.app.websock.drain({ timeoutMs: 50 }), 1)
  t.same(await client.closed, { code: 1012, reason: '' })
})

void t.test('app.close() drains, also during drain()', async (t) => {
  const server = await startDrained(t, { drain: { batchSize: 2, batchIntervalMs: 20 } })
  const clients = await server.open(6)
  const results = await Promise.all([
    server.app.websock.drain(),
    server.app.websock.drain(),
    server.app.close()
  ])
  t.same(results.slice(0, 2), [0, 0])
  for (const client of clients) {
    t.same(client.received.slice(0, 1), ['the server restarts'])
    t.equal((await client.closed).code, 1012)
  }
  t.equal(server.ends.length, 6)
})

void t.test('1 000 silent peers delay app.close() by at most closeTimeoutMs', async (t) => {
  const server = await startDrained(t, { closeTimeoutMs: 500 })
  const raws = await Promise.all(Array.from({ length: 1000 }, async () => {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    return raw.until(({ text }) => text.includes('\r\n\r\n'))
  }))
  const from = performance.now()
  await server.app.close()
  const ms = performance.now() - from
  t.comment(`app.close() took ${Math.round(ms)} ms with 1 000 silent peers`)
  t.ok(ms >= 450 && ms < 20_000)
  t.equal(server.ends.length, 1000)
  await Promise.all(raws.map((raw) => raw.ended))
})

void t.test('options of a drain are checked', async (t) => {
  const server = await startDrained(t)
  await t.rejects(async () => server.app.websock.drain({ timeoutMs: 0 }), {
    code: 'FST_WEBSOCK_INVALID_OPTION',
    message: 'Option `drain` of app.websock.drain must be'
  })
  await t.rejects(async () => server.app.websock.drain({ timeout: 1 } as never), {
    code: 'FST_WEBSOCK_INVALID_OPTION'
  })
  const [client] = await server.open(1)
  client?.close()
  t.equal((await client?.closed)?.code, 1005)
})
