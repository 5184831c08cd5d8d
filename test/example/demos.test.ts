import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { WebSocket } from 'ws'
import { startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect, refused } from '../helpers/client.ts'
import { startExample } from '../helpers/example.ts'

/** The server of tests that do not stop it. */
const example = startExample(t)

void t.test(
  'the connection timer sends the path and whole seconds, on request and by its timer',
  async (t) => {
    const server = await example
    const started = performance.now()
    const path = '/ws/connection_timer/ann%20%2F%3Cb%3E%C3%A9'
    const asking = await connect(t, server.ws(path))
    const waiting = await connect(t, server.ws(`${path}?everyMs=510`))

    /** Expects a text with the seconds of at least `leastMs`. A busy machine may take longer. */
    async function expectSeconds (
      client: Awaited<ReturnType<typeof connect>>,
      start: string,
      leastMs: number
    ): Promise<void> {
      const text = String(await client.next())
      const seconds = Number(text.slice(start.length + 1, -'s.'.length))
      t.equal(text, `${start} ${seconds}s.`)
      t.ok(seconds >= Math.floor(leastMs / 1000), `${seconds} s at ${leastMs} ms or later`)
      t.ok(seconds <= Math.floor((performance.now() - started) / 1000), 'rounded down')
    }

    asking.send('anything else')
    asking.send(Buffer.from('request_timer'))
    asking.send('request_timer ')
    asking.send('request_timer')
    await expectSeconds(asking, `Connected to ${path} for`, 0)
    await expectSeconds(waiting, `Alert for ${path} after`, 510)
    await expectSeconds(waiting, `Alert for ${path} after`, 1020)
    asking.send('request_timer')
    await expectSeconds(asking, `Connected to ${path} for`, 1020)
  }
)

void t.test('the connection timer works without a name', async (t) => {
  const server = await example
  const client = await connect(t, server.ws('/ws/connection_timer'))
  client.send('request_timer')
  t.match(await client.next(), /^Connected to \/ws\/connection_timer for \d+s\.$/)
})

void t.test('the connection timer encodes a name except letters, digits and -._~', async (t) => {
  const server = await example
  const client = await connect(t, server.ws("/ws/connection_timer/a-._~!'()*%25%3A"))
  client.send('request_timer')
  const path = '/ws/connection_timer/a-._~%21%27%28%29%2A%25%3A'
  const text = String(await client.next())
  t.equal(text.replace(/\d+s\.$/, 'Ns.'), `Connected to ${path} for Ns.`)
})

void t.test('the connection timer takes whole milliseconds from 50 to 3 600 000', async (t) => {
  const server = await example
  for (const everyMs of [
    '49',
    '3600001',
    '-1',
    '0',
    '99.5',
    'soon',
    '',
    '1e9',
    '100&everyMs=200'
  ]) {
    t.equal(
      (await refused(server.ws(`/ws/connection_timer/x?everyMs=${everyMs}`))).status,
      400,
      `everyMs=${everyMs}`
    )
  }
  for (const everyMs of ['50', '3600000']) {
    const client = await connect(t, server.ws(`/ws/connection_timer/x?everyMs=${everyMs}`))
    client.close()
    await client.closed
  }
})

void t.test('the echo returns each message unchanged', async (t) => {
  const server = await example
  for (const perMessageDeflate of [false, true]) {
    const client = await connect(t, server.ws('/ws/echo'), {
      perMessageDeflate,
      maxPayload: 32 * 1024 * 1024
    })
    t.equal(client.socket.extensions, perMessageDeflate ? 'permessage-deflate' : '')
    // Compressing the largest takes seconds.
    const large = randomBytes((perMessageDeflate ? 1 : 16) * 1024 * 1024)
    for (const message of [
      '',
      'héllo',
      Buffer.alloc(0),
      Buffer.from([0, 255]),
      'x'.repeat(100_000),
      large
    ]) {
      client.send(message)
      const echoed = await client.next(20_000)
      t.ok(
        typeof echoed === typeof message &&
          Buffer.from(echoed as string).equals(Buffer.from(message as string)),
        `${message.length} of ${typeof message}`
      )
    }
    client.send(Buffer.alloc(16 * 1024 * 1024 + 1))
    t.equal((await client.closed).code, 1009, 'a message of one more byte is refused')
  }
})

void t.test('the echo takes a message of 1 MiB in fragments of 64 bytes', async (t) => {
  const server = await example
  const client = await connect(t, server.ws('/ws/echo'), {
    perMessageDeflate: false,
    maxPayload: 32 * 1024 * 1024
  })
  const message = randomBytes(1024 * 1024)
  for (let at = 0; at < message.length; at += 64) {
    client.socket.send(message.subarray(at, at + 64), {
      binary: true,
      fin: at + 64 >= message.length
    })
  }
  t.ok((await client.next(20_000) as Buffer).equals(message))
})

void t.test(
  'the chat sends messages, joins and leaves to everybody in the room',
  async (t) => {
    const server = await example
    const ann = await connect(t, server.ws('/ws/chat/lobby?nick=ann'))
    t.same(await ann.nextJson(), { event: 'here', nicks: ['ann'] })
    t.match(await ann.nextJson(), { event: 'joined', nick: 'ann', at: Number })
    const elsewhere = await connect(t, server.ws('/ws/chat/attic?nick=eve'))
    t.same(await elsewhere.nextJson(), { event: 'here', nicks: ['eve'] })
    t.match(await elsewhere.nextJson(), { event: 'joined', nick: 'eve' })
    const bob = await connect(t, server.ws('/ws/chat/lobby?nick=bob'))
    t.same(await bob.nextJson(), { event: 'here', nicks: ['ann', 'bob'] })
    t.match(await bob.nextJson(), { event: 'joined', nick: 'bob' })
    t.match(await ann.nextJson(), { event: 'joined', nick: 'bob' })
    bob.send({ event: 'say', text: '<b>hi</b>' })
    t.match(await ann.nextJson(), { event: 'said', from: 'bob', text: '<b>hi</b>', at: Number })
    t.match(
      await bob.nextJson(),
      { event: 'said', from: 'bob', text: '<b>hi</b>' },
      'the speaker too'
    )
    bob.socket.terminate()
    t.match(await ann.nextJson(), { event: 'left', nick: 'bob' })
    elsewhere.send({ event: 'say', text: 'alone' })
    t.match(
      await elsewhere.nextJson(),
      { event: 'said', text: 'alone' },
      'no message of the other room'
    )
  }
)

void t.test('the chat refuses nicks and messages that do not match its schemas', async (t) => {
  const server = await example
  t.equal((await refused(server.ws('/ws/chat/lobby'))).status, 400, 'no nick')
  t.equal((await refused(server.ws(`/ws/chat/lobby?nick=${'n'.repeat(33)}`))).status, 400)
  for (const message of [
    { event: 'say', text: '' },
    { event: 'say' },
    { event: 'shout', text: 'x' },
    { event: 'say', text: 'x'.repeat(2001) }
  ]) {
    const client = await connect(t, server.ws('/ws/chat/lobby?nick=mal'))
    client.send(message)
    t.equal((await client.closed).code, 1008)
  }
})

void t.test('two processes form one chat', { skip: skipWithout('redis-server') }, async (t) => {
  const { port } = await startRedis(t)
  const child = spawn(process.execPath, [join(__dirname, '../../example/dist/two-nodes.js')], {
    env: { PATH: process.env['PATH'], PORTS: '0,0', REDIS_URL: `redis://127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const exited = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const urls: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    const at = /http:(\/\/127\.0\.0\.1:\d+)\/chat/.exec(line)?.[1]
    if (at !== undefined && urls.push(`ws:${at}/ws/chat/lobby`) === 2) break
  }
  child.stdout.resume()
  const ann = await connect(t, `${urls[0]}?nick=ann`)
  t.same(await ann.nextJson(), { event: 'here', nicks: ['ann'] })
  t.match(await ann.nextJson(), { event: 'joined', nick: 'ann' })
  const bob = await connect(t, `${urls[1]}?nick=bob`)
  t.match(await bob.nextJson(), { event: 'here' })
  t.match(await ann.nextJson(), { event: 'joined', nick: 'bob' })
  ann.send({ event: 'say', text: 'hello' })
  while ((await bob.nextJson<{ event: string }>()).event !== 'said');
  t.match(bob.received.map((data) => JSON.parse(String(data)) as { event: string }).at(-1), {
    event: 'said',
    from: 'ann',
    text: 'hello'
  })
  child.kill('SIGTERM')
  t.equal((await bob.closed).code, 1012)
  t.same((await exited)[0], 0)
})

void t.test('the server serves its pages, and closes its clients at SIGTERM', async (t) => {
  const server = await startExample(t)
  for (const path of ['/', '/connection-timer', '/chat', '/gossip']) {
    const page = await fetch(server.http(path))
    t.equal(page.status, 200)
    t.match(page.headers.get('content-type'), /^text\/html/)
    t.equal(page.headers.get('content-security-policy'), "default-src 'self'")
  }
  t.equal((await fetch(server.http('/pages/../server.ts'))).status, 404)
  t.equal((await fetch(server.http('/ws/echo'))).status, 426)
  const client = await connect(t, server.ws('/ws/echo'))
  const exit = server.stop()
  t.equal((await client.closed).code, 1012)
  t.equal(await exit, 0)
  t.equal(client.socket.readyState, WebSocket.CLOSED)
})
