// The same client, in Node over ws and in Chromium, against servers and networks that fail.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import {
  connect as connectTcp,
  createServer as createTcpServer,
  type AddressInfo,
  type Socket
} from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import * as library from '../../src/client/index.ts'
import websock, { typed } from '../../src/index.ts'
import { openPage, skipWithout } from '../helpers/browser.ts'
import { buildApp, type Teardown } from '../helpers/server.ts'
import { startServerProcess } from '../helpers/server-process.ts'
import { startScripted, type Message } from './helpers.ts'

interface Plan {
  readonly url: string
  /** The number of answers to wait for, and the pause after each. */
  readonly answers: number
  readonly pauseMs?: number
  readonly pingMs?: number
  /** An address that returns a fresh token for each attempt. */
  readonly tokens?: string
  /** A close code after which `shouldReconnect` returns true. */
  readonly retryCode?: number
}

interface Outcome {
  /** The numbers of the answered requests, and the codes of the failed ones. */
  readonly answered: number[]
  readonly failed: string[]
  readonly ends: Array<{ code: number, reason: string }>
  readonly errors: string[]
  readonly closed: boolean
}

type Run = (plan: Plan) => Promise<Outcome>

// Runs in a page too, so it must not refer to variables outside.
async function converse (
  lib: typeof library,
  plan: Plan,
  WebSocket?: library.WebSocketConstructor
): Promise<Outcome> {
  const { url, tokens, pingMs, retryCode } = plan
  const outcome = {
    answered: [] as number[],
    failed: [] as string[],
    ends: [] as Outcome['ends'],
    errors: [] as string[],
    closed: false
  }
  const address =
    tokens === undefined
      ? url
      : async ({ signal }: { signal: AbortSignal }) =>
          `${url}?token=${await (await fetch(tokens, { signal })).text()}`
  const client = lib.connect<{
    send: { event: string, n: number, ref?: string }
    receive: { event: string, n: number, ref: string }
  }>(address, {
    ...(WebSocket !== undefined && { WebSocket }),
    ...(pingMs !== undefined && {
      ping: { message: () => ({ event: 'ask', n: -1 }), intervalMs: pingMs, timeoutMs: 2500 }
    }),
    ...(retryCode !== undefined && {
      shouldReconnect: ({ code }) => code < 4000 || code === retryCode
    }),
    firstWaitMs: 20,
    maxWaitMs: 100,
    connectTimeoutMs: 20_000,
    giveUp: { attempts: 1000 },
    onError: (error) => {
      outcome.errors.push((error as { code?: string }).code ?? String(error))
    }
  })
  client.subscribe((state) => {
    if ('code' in state) outcome.ends.push({ code: state.code, reason: state.reason })
    outcome.closed = state.status === 'closed'
  })
  const deadline = Date.now() + 60_000
  for (
    let n = 0;
    outcome.answered.length < plan.answers && !outcome.closed && Date.now() < deadline;
    n++
  ) {
    try {
      outcome.answered.push((await client.request({ event: 'ask', n }, { timeoutMs: 20_000 })).n)
    } catch (error) {
      outcome.failed.push((error as { code: string }).code)
    }
    await new Promise((resolve) => setTimeout(resolve, plan.pauseMs ?? 10))
  }
  const { closed } = outcome
  client.close()
  return { ...outcome, closed }
}

const runInNode: Run = (plan) => converse(library, plan, WebSocket)

/** Opens a page that has only the built client. */
async function openRunner (t: Teardown): Promise<Run> {
  const client = await readFile(join(__dirname, '../../dist/client/index.mjs'))
  const server = createServer((request, response) => {
    const isClient = request.url === '/client.js'
    response
      .setHeader('content-type', isClient ? 'text/javascript' : 'text/html')
      .end(isClient ? client : '<!doctype html><link rel="icon" href="data:,">')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const { page } = await openPage(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const source = converse.toString()
  return (plan) => page.evaluate(async ({ source, plan }) => {
    const lib: unknown = await import(String('/client.js'))
    // eslint-disable-next-line no-new-func -- runs in the page
    const run = new Function(`return ${source}`)() as (
      lib: unknown,
      plan: Plan
    ) => Promise<Outcome>
    return run(lib, plan)
  }, { source, plan })
}

/** Checks that each answered request was received, and none twice. */
function checkOnce (t: Test, { answered }: Outcome, received: readonly Message[]): void {
  const ran = received.filter(({ n }) => n !== -1).map(({ n }) => n)
  t.equal(new Set(ran).size, ran.length, 'nothing was sent twice')
  t.equal(new Set(answered).size, answered.length)
  t.ok(answered.every((n) => ran.includes(n)), 'each answered request was received')
}

const cases: Record<string, (t: Test, run: Run) => Promise<void>> = {
  async 'a server that is killed and comes back' (t, run) {
    let server = await startServerProcess(t, 'client-server.js')
    const { port } = server
    const proxied = await countingProxy(t, port)
    const outcome = run({ url: `ws://127.0.0.1:${proxied.port}/ask`, answers: 20 })
    await proxied.bytes(300)
    server.child.kill('SIGKILL')
    await server.exited
    server = await startServerProcess(t, 'client-server.js', [], { PORT: String(port) })
    t.match(await outcome, { answered: { length: 20 }, ends: [{ code: 1006 }] })
  },

  async 'a server that stalls, which a ping notices' (t, run) {
    const server = await startScripted(t, ({ socket, index }) => {
      if (index > 0) return
      // The server stops reading, and TCP stays open.
      socket.once('message', () => (socket as WebSocket & { _socket: Socket })._socket.pause())
    })
    const outcome = await run({ url: server.url, answers: 5, pingMs: 100 })
    t.match(outcome, {
      answered: { length: 5 },
      ends: [{ code: 1006, reason: 'no answer' }],
      failed: ['lost']
    })
    checkOnce(t, outcome, server.received)
  },

  async 'a server that drains, refuses with 503, and is replaced' (t, run) {
    const received: Message[] = []
    let asked = (): void => {}
    const enough = new Promise<void>((resolve) => { asked = resolve })
    const start = async (port: number): Promise<ReturnType<typeof buildApp>['app']> => {
      const { app } = buildApp(t, { level: 'silent' })
      await app.register(websock, { checkOrigin: false })
      app.get('/', {
        schema: { websocket: { receive: typed<Message>(), send: typed<Message>() } },
        websocketHandler: {
          handleIn (message, _state, ws) {
            if (received.push(message) === 5) asked()
            return ws.push({ ...message, event: 'answer' })
          }
        }
      })
      await app.listen({ host: '127.0.0.1', port })
      return app
    }
    const first = await start(0)
    const { port } = first.server.address() as AddressInfo
    const outcome = run({ url: `ws://127.0.0.1:${port}/`, answers: 20 })
    await enough
    t.equal(await first.websock.drain(), 0)
    t.equal(
      (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).status,
      426
    )
    await first.close()
    await start(port)
    const ended = await outcome
    t.match(ended, { answered: { length: 20 }, ends: [{ code: 1012 }] })
    checkOnce(t, ended, received)
  },

  async 'a proxy that cuts idle connections, which pings keep open' (t, run) {
    const server = await startScripted(t)
    const { port } = await idleProxy(t, server.port, 800)
    const cut = await run({ url: `ws://127.0.0.1:${port}/`, answers: 2, pauseMs: 1200 })
    t.match(cut, { answered: { length: 2 }, ends: [{ code: 1006 }] })
    checkOnce(t, cut, server.received)
    const url = `ws://127.0.0.1:${port}/`
    // Up to three runs, because a pause of the client's process is silence, too.
    for (let runs = 1; ; runs++) {
      const before = server.upgrades
      const kept = await run({ url, answers: 2, pauseMs: 1200, pingMs: 50 })
      if (server.upgrades > before + 1 && runs < 3) continue
      t.match(kept, { answered: { length: 2 }, failed: [] })
      t.equal(server.upgrades, before + 1)
      break
    }
  },

  async 'a token that expires, with a fresh one for each attempt' (t, run) {
    const expired = new Set<string | null>()
    const tokenOf = (url = ''): string | null => new URL(url, 'http://x').searchParams.get('token')
    const server = await startScripted(t, ({ socket, request }) => {
      let count = 0
      socket.on('message', () => {
        if (++count < 3) return
        expired.add(tokenOf(request.url))
        socket.close(4401, 'expired')
      })
    }, (socket, _index, request) => {
      const refuse = expired.has(tokenOf(request.url))
      if (refuse) socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
      return refuse
    })
    let given = 0
    const issuer = createServer((_request, response) => {
      // Some requests fail, and some return an expired token.
      if (++given % 3 === 2) return response.destroy()
      response
        .setHeader('access-control-allow-origin', '*')
        .end(given % 3 === 1 && given > 1 ? '1' : String(given))
    }).listen(0, '127.0.0.1')
    await once(issuer, 'listening')
    t.teardown(() => { issuer.close(); issuer.closeAllConnections() })
    const tokens = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`
    const outcome = await run({ url: server.url, tokens, retryCode: 4401, answers: 8 })
    t.equal(outcome.answered.length, 8)
    t.ok(outcome.ends.some(({ code, reason }) => code === 4401 && reason === 'expired'))
    t.ok(outcome.ends.some(({ code }) => code === 1006))
    t.not(outcome.closed, true)
    checkOnce(t, outcome, server.received)
    t.match(
      await run({ url: server.url, tokens, answers: 8 }),
      { closed: true, ends: { length: Number } },
      'without shouldReconnect the client closes'
    )
  },

  async 'a server that sends wrong messages' (t, run) {
    const server = await startScripted(t, ({ socket }) => {
      socket.on('message', () => {
        for (const wrong of ['', '{', 'undefined', '[1', '"\u2028']) socket.send(wrong)
        for (const odd of [
          'null',
          '0',
          '[]',
          '{"event":{}}',
          '{"ref":{}}',
          '{"__proto__":{"ref":1}}',
          '{"ref":"constructor","event":"constructor"}'
        ]) {
          socket.send(odd)
        }
        socket.send(Buffer.from('{"event":"answer"}'))
      })
    })
    const outcome = await run({ url: server.url, answers: 3 })
    t.match(outcome, { answered: [0, 1, 2], failed: [], ends: [{ code: 1000 }] })
    t.ok(outcome.errors.length >= 12 && outcome.errors.every((code) => code === 'undecodable'))
  },

  async 'a server that sends bad frames' (t, run) {
    const bad = [
      [0x83, 0], // a reserved opcode
      [0xc1, 1, 0x31], // a reserved bit
      [0x81, 2, 0xc3, 0x28], // no UTF-8
      [0x89, 126, 0, 126], // a ping that is too long
      [0x88, 1, 3], // half a close code
      [0x88, 2, 3, 0xed], // 1005, which is never sent
      [0x80, 0], // a continuation without a message
      [0x81, 0x81, 0, 0, 0, 0, 0x31], // masked
      [0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff] // longer than 2 ** 63 bytes
    ]
    const server = await startScripted(t, ({ socket, index }) => {
      if (index < bad.length) {
        socket.once('message', () =>
          (socket as WebSocket & { _socket: Socket })._socket.write(Buffer.from(bad[index] ?? []))
        )
      }
    })
    const outcome = await run({ url: server.url, answers: bad.length + 3 })
    t.equal(outcome.answered.length, bad.length + 3)
    t.equal(server.upgrades, bad.length + 1, 'each bad frame ended its connection')
    checkOnce(t, outcome, server.received)
  }
}

// Each case has its own servers.
t.jobs = 2

void t.test('in Node, over ws', async (t) => {
  for (const [name, run] of Object.entries(cases)) await t.test(name, (t) => run(t, runInNode))
})

void t.test('in Chromium', { skip: skipWithout('chromium'), timeout: 180_000 }, async (t) => {
  const run = await openRunner(t)
  for (const [name, test] of Object.entries(cases)) await t.test(name, (t) => test(t, run))
})

/**
 * A proxy. Its `bytes(count)` resolves when the server has sent so many bytes. Then it passes no
 * more to the clients connected at that time. They cannot finish before the test goes on.
 */
async function countingProxy (
  t: Teardown,
  target: number
): Promise<{ port: number, bytes: (count: number) => Promise<void> }> {
  let seen = 0
  let check = (): void => {}
  const upstreams = new Set<Socket>()
  const server = createTcpServer((client) => {
    const upstream = connectTcp(target, '127.0.0.1')
    upstreams.add(upstream)
    pair(client, upstream)
    upstream.on('data', (bytes) => { seen += bytes.length; check() })
  })
  const port = await listen(t, server)
  return {
    port,
    bytes: (count) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${seen} bytes after 20 s`)), 20_000)
      check = () => {
        if (seen < count) return
        check = () => {}
        for (const upstream of upstreams) upstream.unpipe().resume()
        clearTimeout(timer)
        resolve()
      }
      check()
    })
  }
}

/** A proxy that resets connections that are idle for `idleMs`. */
async function idleProxy (t: Teardown, target: number, idleMs: number): Promise<{ port: number }> {
  const server = createTcpServer((client) => {
    const upstream = connectTcp(target, '127.0.0.1')
    pair(client, upstream)
    client.setTimeout(idleMs, () => {
      // After a pause of this process the bytes that came meanwhile are read first.
      const before = client.bytesRead
      setImmediate(() => { if (client.bytesRead === before) client.resetAndDestroy() })
    })
  })
  return { port: await listen(t, server) }
}

function pair (client: Socket, upstream: Socket): void {
  client.pipe(upstream).pipe(client)
  for (const socket of [client, upstream]) {
    socket.on('error', () => {}).on('close', () => { client.destroy(); upstream.destroy() })
  }
}

async function listen (t: Teardown, server: ReturnType<typeof createTcpServer>): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => { sockets.add(socket) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); for (const socket of sockets) socket.destroy() })
  return (server.address() as AddressInfo).port
}
