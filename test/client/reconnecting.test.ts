import { getEventListeners } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { type WebSocket } from 'ws'
import { connect as connectClient } from '../../src/client/index.ts'
import { drawWaitMs } from '../../src/client/retry.ts'
import type { ClientState, Failure } from '../../src/client/types.ts'
import { connect, defer, startScripted, until } from './helpers.ts'

void t.test('states come in order, and each is one object until the next', async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) setImmediate(() => socket.close(1011, 'oops'))
  })
  const client = connect(t, server.url)
  const states: ClientState[] = []
  const unsubscribe = client.subscribe((state) => {
    t.equal(state, client.getSnapshot())
    states.push(state)
  })
  t.same(states, [{ status: 'connecting', attempt: 1 }], 'a subscriber is called at once')
  t.equal(client.getSnapshot(), client.getSnapshot())
  const before = Date.now()
  const waiting = await until(client, 'waiting')
  t.match(waiting, { code: 1011, reason: 'oops' })
  t.ok(waiting.until >= before && waiting.until <= Date.now() + 20)
  await until(client, 'open')
  client.close(4001, 'enough')
  t.same(client.getSnapshot(), { status: 'closed', code: 4001, reason: 'enough' })
  client.close(4002)
  t.same(
    states.map(({ status }) => status),
    ['connecting', 'open', 'waiting', 'connecting', 'open', 'closed']
  )
  t.match(states[3], { attempt: 2 })
  unsubscribe()
  const [socket] = [...server.sockets]
  const code = await new Promise((resolve) => {
    if (socket) socket.on('close', resolve)
    else resolve(4001)
  })
  t.equal(code, 4001)
})

void t.test('random waits: their bound doubles, and is higher after 1012 and 1013', async (t) => {
  const options = { firstWaitMs: 100, maxWaitMs: 3000 }
  for (const [failures, code, bound] of [
    [1, 1006, 100], [3, 1006, 400], [6, 1006, 3000], [2000, 1006, 3000], [1, 1012, 1000],
    [1, 1013, 1000], [4, 1013, 3000]
  ] as const) {
    const draws = Array.from({ length: 2000 }, () => drawWaitMs(failures, code, options))
    t.ok(draws.every((ms) => ms >= 0 && ms < bound), `${failures} ${code}`)
    t.ok(Math.min(...draws) < bound * 0.05 && Math.max(...draws) > bound * 0.95)
  }
})

void t.test('the close code or shouldReconnect decides whether to try again', async (t) => {
  const cases = [
    [1000, false], [1008, false], [4000, false], [4999, false], [1001, true], [1011, true],
    [1012, true], [1013, true], [3000, true]
  ] as const
  for (const [code, again] of cases) {
    const server = await startScripted(t, ({ socket }) => socket.close(code, 'why'))
    const client = connect(t, server.url)
    t.match(
      await until(client, again ? 'waiting' : 'closed'),
      { code, reason: 'why' },
      String(code)
    )
    client.close()
    const other = connect(t, server.url, {
      shouldReconnect: (end) => {
        t.match(end, { code, reason: 'why' })
        return !again
      }
    })
    await until(other, again ? 'closed' : 'waiting')
  }
})

void t.test('functions of the application that throw are reported', async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) socket.close(1011)
  })
  const errors: unknown[] = []
  const fail = (): never => { throw new Error('mine') }
  const client = connect(t, server.url, {
    shouldReconnect: fail,
    onError: (error) => errors.push(error)
  })
  await until(client, 'closed')
  const other = connect(t, 'ws://127.0.0.1:1', {
    giveUp: fail,
    onError: (error) => errors.push(error)
  })
  await until(other, 'waiting')
  t.match(errors, [{ message: 'mine' }, { message: 'mine' }])
  const closing = connect(t, 'ws://127.0.0.1:1', {
    shouldReconnect: () => {
      closing.close(1000, 'myself')
      return true
    }
  })
  t.match(await until(closing, 'closed'), { code: 1000, reason: 'myself' })
})

void t.test('a client that was never open gives up after ten attempts', async (t) => {
  const server = await startScripted(t, () => {}, (socket) => {
    // Not 401: Node 24 asks a second time by itself.
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    return true
  })
  const client = connect(t, server.url, { firstWaitMs: 1, maxWaitMs: 2 })
  const end = { code: 1006, reason: 'gave up after 10 attempts: failed' }
  t.match(await until(client, 'closed'), end)
  t.equal(server.upgrades, 10)
})

void t.test('a client that was open gives up after an hour', async (t) => {
  const server = await startScripted(t, ({ socket }) => socket.close(1011), (socket, index) => {
    if (index > 0) socket.destroy()
    return index > 0
  })
  const now = Date.now
  t.teardown(() => { Date.now = now })
  const client = connect(t, server.url, { firstWaitMs: 1, maxWaitMs: 2 })
  await until(client, 'open')
  while (server.upgrades < 40) await new Promise(setImmediate)
  t.not(client.getSnapshot().status, 'closed')
  Date.now = () => now() + 3_600_000
  t.match(await until(client, 'closed'), { reason: /^gave up after \d+ attempts/ })
})

void t.test('when to give up is an option: a number, a time, a function', async (t) => {
  const failures: Failure[] = []
  const cases = [
    [{ attempts: 3 }, 3],
    [{ afterMs: 0 }, 1],
    [(failure: Failure) => { failures.push(failure); return failure.attempts === 2 }, 2]
  ] as const
  for (const [giveUp, attempts] of cases) {
    const server = await startScripted(t, () => {}, (socket) => { socket.destroy(); return true })
    await until(connect(t, server.url, { giveUp }), 'closed')
    t.equal(server.upgrades, attempts)
  }
  t.match(failures, [
    { attempts: 1, elapsedMs: 0, opened: false, code: 1006 },
    { attempts: 2, elapsedMs: Number, opened: false, code: 1006 }
  ])
  const failing = connect(t, () => { throw new Error('no ticket') }, { giveUp: { attempts: 1 } })
  t.match(await until(failing, 'closed'), { reason: 'gave up after 1 attempts: failed' })
})

void t.test('a url function is called for each attempt, and may fail or hang', async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) socket.close(1011)
  })
  const signals: AbortSignal[] = []
  const client = connect(t, async ({ signal }) => {
    signals.push(signal)
    if (signals.length === 1) throw new Error('no token')
    if (signals.length === 2) return new Promise<string>(() => {})
    return `${server.url}?token=${signals.length}`
  }, { connectTimeoutMs: 1500 })
  t.same(signals, [], 'not called in the turn of connect')
  t.match(await until(client, 'waiting'), { code: 1006, error: { message: 'no token' } })
  await until(client, 'connecting')
  t.match(await until(client, 'waiting'), { code: 1006, reason: 'timeout' })
  t.ok(signals[1]?.aborted)
  await until(client, 'open')
  await until(client, 'waiting')
  await until(client, 'open')
  t.equal(signals.length, 4)
  client.close()
  const sync = connect(t, () => { throw new Error('at once') })
  t.match(await until(sync, 'waiting'), { error: { message: 'at once' } })
  const late = defer<string>('url')
  const closed = connect(t, () => late.promise)
  await new Promise(setImmediate)
  closed.close()
  late.resolve(server.url)
  await new Promise(setImmediate)
  t.equal(server.upgrades, 2, 'an address that comes after the end is not used')
})

void t.test('an invalid url closes the client, but not one from a function', async (t) => {
  t.match(await until(connect(t, 'http//nowhere'), 'closed'), {
    code: 1006,
    error: { name: 'SyntaxError' }
  })
  t.match(
    await until(connect(t, () => 'http//nowhere'), 'waiting'),
    { code: 1006, error: { name: 'SyntaxError' } }
  )
  // Node 20 has no global WebSocket, later versions do.
  const { WebSocket: ofNode } = globalThis as { WebSocket?: unknown }
  Object.assign(globalThis, { WebSocket: undefined })
  t.teardown(() => Object.assign(globalThis, { WebSocket: ofNode }))
  t.throws(() => connectClient('ws://127.0.0.1:1', { WebSocket: undefined as never }), {
    name: 'TypeError',
    message: 'Pass { WebSocket }'
  })
})

void t.test('an attempt without an answer ends after connectTimeoutMs', async (t) => {
  const silent = createServer((socket) => { socket.on('error', () => {}) }).listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await new Promise((resolve) => silent.once('listening', resolve))
  const client = connect(t, `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`, {
    connectTimeoutMs: 50
  })
  t.match(await until(client, 'waiting'), { code: 1006, reason: 'timeout' })
})

void t.test('an aborted signal closes the client, and no listener is left behind', async (t) => {
  const server = await startScripted(t)
  const abort = new AbortController()
  const { signal } = abort
  const clients = [
    connect(t, server.url, { signal }),
    connect(t, 'ws://127.0.0.1:1', { signal, maxWaitMs: 10_000, firstWaitMs: 10_000 })
  ] as const
  await until(clients[0], 'open')
  await until(clients[1], 'waiting')
  abort.abort()
  for (const client of clients) {
    t.match(client.getSnapshot(), { status: 'closed', code: 1000, reason: 'aborted' })
  }
  t.match(connect(t, server.url, { signal }).getSnapshot(), { status: 'closed' })
  t.equal(server.upgrades, 1)

  const long = new AbortController()
  const client = connect(t, server.url, { signal: long.signal })
  await client.request({ event: 'ask' }, { signal: long.signal })
  t.equal(getEventListeners(long.signal, 'abort').length, 1)
  client.close()
  t.equal(getEventListeners(long.signal, 'abort').length, 0)
})

void t.test('a client that is closed by its onOpen reports that once', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url, { onOpen: () => client.close(4000, 'enough') })
  const states: string[] = []
  client.subscribe(({ status }) => { states.push(status) })
  client.send({ event: 'say' })
  await until(client, 'closed')
  t.same(states, ['connecting', 'closed'])
  t.same(server.received, [])
})

void t.test('a wrong close code throws and changes nothing', async (t) => {
  const server = await startScripted(t)
  const client = connect(t, server.url)
  await until(client, 'open')
  t.throws(() => client.close(1006))
  t.match(await client.request({ event: 'ask' }), { event: 'answer' })
})

void t.test('a process with a client that was closed ends by itself', async (t) => {
  const server = await startScripted(t)
  const { execFile } = await import('node:child_process')
  const code = `
    const { connect } = require('fastify-websock/client'); const { WebSocket } = require('ws')
    const options = { WebSocket, ping: { message: () => ({}) } }
    for (const url of ['${server.url}', 'ws://127.0.0.1:1', () => new Promise(() => {})]) {
      const client = connect(url, options)
      setTimeout(() => client.close(), 100)
    }`
  await new Promise<void>((resolve, reject) => {
    execFile(
      process.execPath,
      ['-e', code],
      { cwd: process.cwd(), timeout: 60_000, env: { PATH: process.env['PATH'] } },
      (error) => (error ? reject(error) : resolve())
    )
  })
})

void t.test('a ping is sent in silence; without an answer the connection ends', async (t) => {
  const pinged = defer<void>('three pings')
  let pings = 0
  const server = await startScripted(t, ({ socket, index }) => {
    socket.on('message', () => {
      if (++pings === 3) pinged.resolve()
      if (index === 0 && pings < 4) socket.send('"anything"')
    })
  })
  const client = connect(t, server.url, {
    ping: { message: () => ({ event: 'ping' }), intervalMs: 30, timeoutMs: 300 }
  })
  await pinged.promise
  t.equal(server.upgrades, 1)
  t.match(await until(client, 'waiting'), { code: 1006, reason: 'no answer' })
  await until(client, 'open')
})

void t.test('without a ping, a quiet connection stays open', async (t) => {
  const server = await startScripted(t)
  const { setTimeout } = globalThis
  t.teardown(() => { globalThis.setTimeout = setTimeout })
  let long = 0
  const checked = defer<void>('three checks')
  // Shortens the long waits of the client, 30 s between two checks, by a factor of 500.
  globalThis.setTimeout = ((call: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    if (ms === 30_000 && ++long === 4) checked.resolve()
    return setTimeout(call, ms >= 10_000 ? ms / 500 : ms, ...args)
  }) as typeof setTimeout
  const client = connect(t, server.url, { connectTimeoutMs: 9000 })
  await checked.promise
  t.same(client.getSnapshot(), { status: 'open' })
  t.equal(server.upgrades, 1)
})

void t.test('a ping whose message throws is reported', async (t) => {
  const server = await startScripted(t)
  const error = defer<unknown>('error')
  connect(t, server.url, {
    ping: { message: () => { throw new Error('mine') }, intervalMs: 10 },
    onError: error.resolve
  })
  t.match(await error.promise, { message: 'mine' })
})

void t.test('after a sleep of the computer the connection is replaced at once', async (t) => {
  const server = await startScripted(t, ({ socket, index }) => {
    if (index === 0) socket.on('message', () => socket.send('{}'))
  })
  const now = Date.now
  let slept = 0
  t.teardown(() => { Date.now = now })
  Date.now = () => now() + slept
  const client = connect(t, server.url, {
    ping: { message: () => ({ event: 'ping' }), intervalMs: 40, timeoutMs: 100 }
  })
  await until(client, 'open')
  slept += 130_000
  t.match(await until(client, 'waiting'), { code: 1006, reason: 'asleep' })
  await until(client, 'open')
  // The server does not answer on the second connection. A timer that is a little late extends the
  // time for an answer, in steps of 100 ms.
  const since = performance.now()
  const step = setInterval(() => {
    if (performance.now() - since < 400) slept += 3000
  }, 10)
  t.teardown(() => clearInterval(step))
  t.match(await until(client, 'waiting'), { reason: 'no answer' })
  t.ok(performance.now() - since > 400)
})

void t.test('a connection that ends soon counts as a failure, a long one does not', async (t) => {
  const server = await startScripted(t, ({ socket }) => {
    socket.on('message', () => socket.close(1011))
  })
  const now = Date.now
  let passed = 0
  t.teardown(() => { Date.now = now })
  Date.now = () => now() + passed
  const client = connect(t, server.url)
  const attempts: number[] = []
  client.subscribe((state) => {
    if (state.status === 'connecting') attempts.push(state.attempt)
  })
  for (const lasts of [0, 0, 6000, 0]) {
    await until(client, 'open')
    passed += lasts
    client.send({ event: 'x' })
    await until(client, 'waiting')
  }
  await until(client, 'open')
  t.same(attempts, [1, 2, 3, 2, 3])
})

void t.test('messages of an old socket are ignored', async (t) => {
  const server = await startScripted(t)
  const heard: unknown[] = []
  const client = connect(t, server.url, { onMessage: (message) => { heard.push(message) } })
  await until(client, 'open')
  const [socket] = [...server.sockets] as [WebSocket]
  client.close()
  socket.send('"late"')
  await new Promise((resolve) => socket.once('close', resolve))
  t.same(heard, [])
  t.equal(client.getSnapshot().status, 'closed')
})

void t.test('a client connects to a server that starts later', async (t) => {
  const probe = await startScripted(t)
  const { port, url } = probe
  await probe.stop()
  const client = connect(t, url, { giveUp: { attempts: 1000 } })
  t.equal(client.send({ event: 'say', text: 'early' }), 'queued')
  await until(client, 'waiting')
  const server = await startScripted(t, undefined, undefined, port)
  await until(client, 'open')
  await client.request({ event: 'ask' })
  t.match(server.received[0], { text: 'early' })
})
