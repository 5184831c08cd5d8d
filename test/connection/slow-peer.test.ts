import { once } from 'node:events'
import t from 'tap'
import type { TerminateReason, WebsocketOptions } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { connectRaw, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

const KIB = 1024
const CHUNK = 64 * KIB
// More bytes than any kernel buffers for a peer that does not read.
const CHUNKS = 400

interface Flood extends TestServer {
  ends: Array<{ reason: TerminateReason, bufferedBytes: number, dropped: number }>
  mostBuffered: () => number
  handled: () => number
}

/**
 * Answers each message with a chunk. Answers `flood` with CHUNKS chunks, each in its own result, by
 * infos that it posts to itself.
 */
async function startFlood (t: Teardown, options: WebsocketOptions): Promise<Flood> {
  const ends: Flood['ends'] = []
  let most = 0
  let handled = 0
  const chunk = Buffer.alloc(CHUNK, 'x')
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { closeTimeoutMs: 200, ...options },
      websocketHandler: {
        handleIn (message, _state, ws) {
          if (message.data === 'flood') ws.post(1)
          else return ws.push(message)
        },
        handleInfo (n, _state, ws) {
          handled++
          most = Math.max(most, ws.bufferedBytes)
          if ((n as number) < CHUNKS) ws.post((n as number) + 1)
          return ws.push(chunk)
        },
        terminate (reason, _state, ws) {
          ends.push({ reason, bufferedBytes: ws.bufferedBytes, dropped: ws.droppedMessages })
        }
      }
    })
  })
  return Object.assign(server, { ends, mostBuffered: () => most, handled: () => handled })
}

async function openPaused (t: Teardown, server: TestServer): Promise<RawClient> {
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/'))
  await raw.until(({ text }) => text.includes('\r\n\r\n'))
  raw.socket.pause()
  return raw
}

type Asserting = Teardown & { equal: (found: unknown, wanted: unknown) => unknown }

async function untilHandlingStops (t: Asserting, server: Flood): Promise<void> {
  let before: number
  do {
    before = server.handled()
    await checkBystander(t, server)
  } while (server.handled() > before)
}

async function checkBystander (t: Asserting, server: TestServer): Promise<void> {
  const bystander = await connect(t, server.url('/'))
  for (let i = 0; i < 20; i++) {
    bystander.send(`still here ${i}`)
    t.equal(await bystander.next(), `still here ${i}`)
  }
}

void t.test(
  'a peer that never reads is closed with 1013, after maxBufferedBytes and one message',
  async (t) => {
    const server = await startFlood(t, { maxBufferedBytes: 256 * KIB })
    const raw = await openPaused(t, server)
    raw.write(text('flood'))
    const ended = (): Flood['ends'] => server.ends.filter(({ reason }) => reason.type === 'error')
    while (ended().length === 0 && server.handled() < CHUNKS) await checkBystander(t, server)
    raw.socket.resume()
    await raw.ended
    await server.app.close()
    const [end] = ended()
    t.match(end, {
      reason: { type: 'error', code: 1013, error: { code: 'FST_WEBSOCK_SLOW_PEER' } }
    })
    t.ok(
      server.mostBuffered() <= 256 * KIB + CHUNK + 16,
      `${server.mostBuffered()} bytes were buffered at most`
    )
    t.equal(end?.dropped, 0)
  }
)

void t.test(
  'with drop, messages beyond maxBufferedBytes are dropped and counted, others arrive complete',
  async (t) => {
    const server = await startFlood(t, { maxBufferedBytes: 256 * KIB, slowPeer: 'drop' })
    const raw = await openPaused(t, server)
    raw.write(text('flood'))
    await checkBystander(t, server)
    while (server.handled() < CHUNKS) await checkBystander(t, server)
    raw.socket.resume()
    // These messages are dropped too, until enough bytes have been read.
    let lasts = 0
    while (raw.frames().at(-1)?.opcode !== 1) {
      raw.write(text('last'))
      lasts++
      await checkBystander(t, server)
    }
    const frames = raw.frames()
    const chunks = frames.filter(({ payload }) => payload.length === CHUNK)
    t.equal(
      frames.length - chunks.length,
      frames.filter(({ payload }) => payload.toString() === 'last').length,
      'each frame is complete'
    )
    raw.socket.destroy()
    await server.app.close()
    const dropped = Math.max(...server.ends.map((end) => end.dropped))
    t.ok(dropped > 0)
    t.ok(
      chunks.length + dropped >= CHUNKS && chunks.length + dropped <= CHUNKS + lasts,
      'each chunk has arrived or was counted'
    )
    t.ok(
      server.mostBuffered() <= 256 * KIB + CHUNK + 16,
      `${server.mostBuffered()} bytes were buffered at most`
    )
  }
)

void t.test(
  'with wait, the mailbox waits until the peer reads, and no message is lost',
  async (t) => {
    const server = await startFlood(t, {
      maxBufferedBytes: 256 * KIB,
      slowPeer: 'wait',
      heartbeatIntervalMs: 0
    })
    const raw = await openPaused(t, server)
    raw.write(text('flood'))
    await untilHandlingStops(t, server)
    t.ok(server.handled() < CHUNKS, `it waits at ${server.handled()} of ${CHUNKS}`)
    raw.socket.resume()
    await raw.until(
      (client) => client.size > CHUNKS * CHUNK && client.frames().length === CHUNKS,
      20_000
    )
    t.ok(
      server.mostBuffered() <= 256 * KIB + CHUNK + 16,
      `${server.mostBuffered()} bytes were buffered at most`
    )
    raw.write(text('last'))
    await raw.until((client) => client.frames().at(-1)?.payload.toString() === 'last')
    raw.socket.destroy()
    await server.app.close()
  }
)

void t.test(
  'a waiting mailbox ends at once when its peer leaves or the server closes',
  async (t) => {
    for (const how of ['peer', 'server'] as const) {
      const server = await startFlood(t, {
        maxBufferedBytes: 1,
        slowPeer: 'wait',
        terminateTimeoutMs: 60_000,
        heartbeatIntervalMs: 0
      })
      const raw = await openPaused(t, server)
      raw.write(text('flood'))
      await untilHandlingStops(t, server)
      if (how === 'peer') raw.socket.resetAndDestroy()
      await server.app.close()
      t.match(server.ends.at(-1)?.reason.type, how === 'peer' ? /remote|shutdown/ : 'shutdown')
      t.same(server.logs, [], 'no callback exceeded its time')
      if (!raw.socket.destroyed) {
        raw.socket.resume()
        await once(raw.socket, 'close')
      }
    }
  }
)

void t.test(
  'a waiting mailbox continues also when the last sent frame was a pong',
  async (t) => {
    for (const compress of [true, false]) {
      const server = await startServer(t, (app) => {
        app.get('/', {
          websocketOptions: {
            compress,
            slowPeer: 'wait',
            maxBufferedBytes: 1000,
            heartbeatIntervalMs: 0
          },
          websocketHandler: {
            handleIn: ({ data }, _state, ws) =>
              ws.push(data === 'much' ? 'x'.repeat(12 * 1024 * KIB) : data)
          }
        })
      })
      const raw = await openPaused(t, server)
      raw.write(
        Buffer.concat([
          text('much'),
          ...Array.from({ length: 900 }, () => frame(9, 'p'.repeat(125))),
          text('one'),
          text('two')
        ])
      )
      await checkBystander(t, server)
      raw.socket.resume()
      await raw.until(
        (client) =>
          client.size > 12 * 1024 * KIB && client.frames().at(-1)?.payload.toString() === 'two',
        20_000
      )
      const frames = raw.frames()
      t.same(
        frames.filter(({ opcode }) => opcode === 1).map(({ payload }) => payload.length),
        [12 * 1024 * KIB, 3, 3]
      )
      t.equal(frames.filter(({ opcode }) => opcode === 10).length, 900)
      raw.socket.destroy()
    }
  }
)

for (const slowPeer of ['close', 'drop'] as const) {
  void t.test(`slowPeer: '${slowPeer}' applies to a subscriber that does not read`, async (t) => {
    let reason: unknown
    const dropped = { count: 0 }
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { slowPeer, maxBufferedBytes: 64 * 1024, closeTimeoutMs: 100 },
        websocketHandler: {
          init: (_args, ws) => {
            ws.subscribe('all')
            return ws.push('ready')
          },
          handleInfo: (_info, _state, ws) => {
            dropped.count = Math.max(dropped.count, ws.droppedMessages)
          },
          terminate: (why) => { reason ??= why }
        }
      })
    })
    const reading = await connect(t, server.url('/'))
    await reading.next()
    const notReading = await connectRaw(t, server.port)
    notReading.write(handshake('/'))
    await notReading.until(() => notReading.bytes.length > 0)
    notReading.socket.pause()
    const text = 'x'.repeat(60_000)
    for (let n = 0; n < 200; n++) {
      server.app.websock.broadcast('all', text)
      t.equal(((await reading.next()) as string).length, text.length)
    }
    if (slowPeer === 'close') {
      notReading.socket.resume()
      await once(notReading.socket, 'close')
      t.match(reason, { type: 'error', code: 1013, error: { code: 'FST_WEBSOCK_SLOW_PEER' } })
    } else {
      server.app.websock.publish('all', 'count')
      server.app.websock.broadcast('all', 'last')
      t.equal(await reading.next(), 'last')
      t.ok(dropped.count > 50, `${dropped.count} of 200 were dropped`)
    }
  })
}

void t.test("slowPeer: 'wait': broadcasts wait in order, up to the mailbox bounds", async (t) => {
  let slowContext: { readonly bufferedBytes: number, readonly droppedInfos: number } | undefined
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: {
        slowPeer: 'wait',
        maxBufferedBytes: 64 * 1024,
        maxMailboxBytes: 1024 * 1024,
        infoOverflow: 'drop'
      },
      websocketHandler: {
        init: ({ query }, ws) => {
          ws.subscribe('all')
          if ('slow' in (query as object)) slowContext = ws
          return ws.push('ready')
        }
      }
    })
  })
  const reading = await connect(t, server.url('/'))
  await reading.next()
  const notReading = await connectRaw(t, server.port)
  notReading.write(handshake('/?slow'))
  await notReading.until(() => notReading.frames().length === 1)
  notReading.socket.pause()
  let sent = 0
  const broadcast = async (): Promise<void> => {
    const text = `${sent} ${'x'.repeat(60_000)}`
    sent++
    server.app.websock.broadcast('all', text)
    t.equal(await reading.next(), text)
    t.ok(
      (slowContext?.bufferedBytes ?? 0) < 256 * 1024 + 1024 * 1024,
      `${slowContext?.bufferedBytes} bytes wait to be sent`
    )
  }
  while (slowContext?.droppedInfos === 0) await broadcast()
  t.equal(slowContext?.droppedInfos, 1, 'the mailbox is full')
  notReading.socket.resume()
  await notReading.until(() => notReading.frames().length === sent)
  t.same(
    notReading.frames().slice(1).map(({ payload }) => Number.parseInt(payload.toString())),
    Array.from({ length: sent - 1 }, (_none, n) => n),
    'all messages but the dropped one arrive'
  )
  await broadcast()
  await notReading.until(() => notReading.frames().length === sent)
})
