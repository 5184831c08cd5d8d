import t from 'tap'
import type { TerminateReason, WebsocketOptions } from '../../src/index.ts'
import { TokenBuckets } from '../../src/connection/rate-limit.ts'
import { connect } from '../helpers/client.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

void t.test('a bucket is full at first and refills evenly', async (t) => {
  const buckets = new TokenBuckets({ messages: 10, bytes: 1000, intervalMs: 1000 }, 0)
  for (let i = 0; i < 10; i++) t.equal(buckets.take(1, 1, 0), 0)
  t.equal(buckets.take(1, 1, 0), 100, 'a tenth of the interval for one message')
  t.equal(buckets.take(1, 1, 200), 0, 'two tokens were refilled')
  t.equal(buckets.take(1, 1, 200), 100)
  t.equal(buckets.take(1, 1, 60_000), 0, 'a bucket never exceeds its capacity')
  for (let i = 0; i < 9; i++) t.equal(buckets.take(1, 0, 60_000), 0)
  t.equal(buckets.take(1, 0, 60_000), 100)
  const bytes = new TokenBuckets({ bytes: 1000 }, 0)
  t.equal(bytes.take(1, 1000, 0), 0)
  t.equal(bytes.take(1, 500, 0), 500, 'the default interval is one second')
  t.equal(bytes.take(1, 0, 499), 1)
  t.equal(bytes.take(1, 0, 500), 0)
})

interface Limited extends TestServer {
  ends: TerminateReason[]
  open: () => Promise<RawClient>
}

async function startLimited (
  t: Teardown,
  rateLimit: NonNullable<WebsocketOptions['rateLimit']>
): Promise<Limited> {
  const ends: TerminateReason[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { rateLimit },
      websocketHandler: {
        handleIn: (message, _state, ws) => ws.push(message),
        terminate: (reason) => {
          ends.push(reason)
        }
      }
    })
    app.get('/free', { websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) } })
  })
  const open = async (): Promise<RawClient> => {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake('/'))
    return raw.until(({ text }) => text.includes('\r\n\r\n'))
  }
  return Object.assign(server, { ends, open })
}

void t.test('a client that floods is closed with 1008', async (t) => {
  const floods: Record<
    string,
    [rateLimit: NonNullable<WebsocketOptions['rateLimit']>, packet: Buffer, answers: number]
  > = {
    messages: [
      { messages: 5, intervalMs: 3_600_000 },
      Buffer.concat(Array.from({ length: 6 }, () => text('x'))),
      5
    ],
    bytes: [
      { bytes: 5, intervalMs: 3_600_000 },
      Buffer.concat(Array.from({ length: 6 }, () => text('x'))),
      5
    ],
    pings: [
      { messages: 5, intervalMs: 3_600_000 },
      Buffer.concat(Array.from({ length: 6 }, () => frame(9))),
      5
    ],
    pongs: [
      { messages: 5, intervalMs: 3_600_000 },
      Buffer.concat(Array.from({ length: 6 }, () => frame(10))),
      0
    ]
  }
  for (const [what, [rateLimit, packet, answers]] of Object.entries(floods)) {
    const server = await startLimited(t, rateLimit)
    const raw = await server.open()
    raw.write(packet)
    await raw.until((client) => client.frames().some(({ opcode }) => opcode === 8))
    const frames = raw.frames()
    t.equal(frames.at(-1)?.payload.readUInt16BE(), 1008, what)
    t.equal(frames.length - 1, answers, `${what}: those within the limit were answered`)
    raw.write(closeFrame(1008))
    await raw.ended
    const bystander = await connect(t, server.url('/free'))
    bystander.send('hello')
    t.equal(await bystander.next(), 'hello')
    await server.app.close()
    t.match(server.ends, [
      { type: 'error', code: 1008, error: { code: 'FST_WEBSOCK_RATE_LIMITED' } }
    ])
  }
})

void t.test("with over: 'wait' the client is slowed down and no message is lost", async (t) => {
  const server = await startLimited(t, { messages: 20, intervalMs: 200, over: 'wait' })
  const raw = await server.open()
  const from = performance.now()
  for (let i = 0; i < 60; i++) {
    raw.write(text(String(i)))
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  await raw.until((client) => client.frames().length === 60, 10_000)
  t.same(
    raw.frames().map(({ payload }) => payload.toString()),
    Array.from({ length: 60 }, (_, i) => String(i))
  )
  raw.write(text('one more'))
  await raw.until((client) => client.frames().length === 61, 10_000)
  const ms = performance.now() - from
  t.ok(ms >= 390, `61 messages at 20 in 200 ms took ${Math.round(ms)} ms`)
})
