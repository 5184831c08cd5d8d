import t from 'tap'
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { WebsockOptions } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { connectRaw, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

// The most bytes that Node reads at once.
const ONE_READ = 65_536

const textsOf = (client: RawClient): string[] =>
  client
    .frames()
    .filter(({ opcode }) => opcode === 1)
    .map(({ payload }) => payload.toString())
const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i))

async function eventually (condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`)
    await turn()
  }
}

/**
 * A route whose `hold` message blocks the mailbox until `open()`, and the server's side of its only
 * connection.
 */
async function startHeld (t: Teardown, limits: WebsockOptions): Promise<Held> {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  const sockets: Socket[] = []
  const controls: Array<{ pause: () => void, resume: () => void }> = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: ({ request }, ws) => {
          sockets.push(request.raw.socket)
          controls.push(ws)
          return ws.push('init')
        },
        handleIn: async (message, _state, ws) => {
          const first = String(message.data).split(' ')[0] ?? ''
          if (first === 'hold') await opened
          return ws.push(first)
        }
      }
    })
    app.get('/ping', () => 'pong')
  }, { websock: limits })
  const client = await connectRaw(t, server.port)
  client.write(handshake('/'))
  await client.until(() => textsOf(client).length === 1)
  client.write(text('hold'))
  return {
    server,
    client,
    socket: sockets[0] as Socket,
    controls: controls[0] as Held['controls'],
    open
  }
}

interface Held {
  server: TestServer
  client: RawClient
  socket: Socket
  controls: { pause: () => void, resume: () => void }
  open: () => void
}

/** The bytes that were read from the socket. A paused socket still fills its own buffer. */
const bytesTaken = ({ socket }: Held): number => socket.bytesRead - socket.readableLength

/** The bytes that are read from the socket during many turns of the server's event loop. */
async function takenMeanwhile (held: Held): Promise<number> {
  const before = bytesTaken(held)
  for (let i = 0; i < 10; i++) await fetch(held.server.http('/ping'))
  return bytesTaken(held) - before
}

void t.test(
  'at a limit of the mailbox reading stops after at most one more read, and no message is lost',
  async (t) => {
    const cases = [
      { limits: { maxMailboxLength: 10 }, padding: 60_000, mark: 11 * 60_020 },
      { limits: { maxMailboxLength: 10 }, padding: 100, mark: 11 * 120 },
      { limits: { maxMailboxBytes: 100_000 }, padding: 1000, mark: 101_000 + 110 * 16 },
      { limits: { maxMailboxLength: 1 }, padding: 1000, mark: 2 * 1020 }
    ]
    for (const { limits, padding, mark } of cases) {
      const held = await startHeld(t, limits)
      const { client, socket, open } = held
      const before = bytesTaken(held)
      // For the first case, more than the kernel buffers.
      const sent = padding === 60_000 ? 200 : 3000
      client.write(Buffer.concat(count(sent).map((i) => text(`${i} ${'x'.repeat(padding)}`))))
      await eventually(() => socket.isPaused(), 'the socket is paused')
      const name = `${JSON.stringify(limits)} with ${padding} bytes each`
      t.equal(await takenMeanwhile(held), 0, `${name}: reading has stopped`)
      t.ok(
        bytesTaken(held) - before <= mark + ONE_READ,
        `${name}: ${bytesTaken(held) - before} bytes were taken`
      )
      if (padding === 60_000) t.ok(client.socket.writableLength > 0, 'the client waits')
      t.same(textsOf(client), ['init'])
      open()
      await client.until(() => client.bytes.subarray(-8).includes(String(sent - 1)), 20_000)
      t.same(textsOf(client), ['init', 'hold', ...count(sent)], `${name}: nothing is lost`)
    }
  }
)

void t.test('a full mailbox does not make its client look dead', async (t) => {
  const held = await startHeld(t, {
    maxMailboxLength: 10,
    heartbeatIntervalMs: 50,
    heartbeatTimeoutMs: 50
  })
  const { client, socket, open } = held
  client.write(Buffer.concat(count(100).map(text)))
  await eventually(() => socket.isPaused(), 'the socket is paused')
  // The second ping is sent when the time to answer the first is over.
  await client.until(() => client.frames().filter(({ opcode }) => opcode === 9).length >= 3)
  open()
  await client.until(() => textsOf(client).length === 102)
  t.same(textsOf(client), ['init', 'hold', ...count(100)])
})

void t.test('a pause of the handler and a pause of the mailbox are independent', async (t) => {
  for (const first of ['handler', 'mailbox']) {
    const held = await startHeld(t, { maxMailboxLength: 5 })
    const { client, socket, controls, open } = held
    await eventually(() => socket.bytesRead > 0, 'the first message is read')
    if (first === 'handler') {
      controls.pause()
      controls.pause()
      client.write(Buffer.concat(count(100).map(text)))
      t.equal(await takenMeanwhile(held), 0, 'paused by the handler')
      controls.resume()
    } else {
      client.write(Buffer.concat(count(100).map(text)))
    }
    await eventually(() => socket.isPaused(), 'paused by the mailbox')
    controls.pause()
    controls.resume()
    t.ok(socket.isPaused(), 'paused after the handler resumes, because the mailbox is full')
    controls.pause()
    open()
    await client.until(() => textsOf(client).length === 102)
    client.write(text('more'))
    t.ok(socket.isPaused(), 'paused by the handler when the mailbox has room again')
    t.equal(await takenMeanwhile(held), 0)
    controls.resume()
    await client.until(() => textsOf(client).length === 103)
    t.same(textsOf(client), ['init', 'hold', ...count(100), 'more'], first)
  }
})

void t.test('a connection that ends while it is paused closes at once', async (t) => {
  const reasons: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => { ws.pause(); ws.postAfter('stop', 20) },
        handleInfo: (_info, _state, ws) => ws.stop('normal', [4000, 'done']),
        terminate: (reason) => { reasons.push(reason.type) }
      }
    })
  }, { websock: { closeTimeoutMs: 3_600_000 } })
  const client = await connect(t, server.url('/'))
  client.send('unread')
  t.same(await client.closed, { code: 4000, reason: 'done' })
  await server.app.close()
  t.same(reasons, ['normal'])
})

void t.test(
  'infos beyond maxMailboxInfos close the connection with 1013, or are dropped and counted',
  async (t) => {
    const reasons: unknown[] = []
    const handled: Record<string, unknown[]> = { close: [], drop: [] }
    const server = await startServer(t, (app) => {
      for (const infoOverflow of ['close', 'drop'] as const) {
        app.get(`/${infoOverflow}`, {
          websocketOptions: { infoOverflow, maxMailboxInfos: 4 },
          websocketHandler: {
            handleIn: async (_message, _state, ws) => {
              const taken = [1, 2, 3, 4, 5, 6].map((info) => ws.post(info))
              const aborted = ws.signal.aborted
              await turn()
              return ws.push(
                JSON.stringify({ taken, again: ws.ref.post(7), aborted, dropped: ws.droppedInfos })
              )
            },
            handleInfo: (info, _state, ws) => {
              handled[infoOverflow]?.push(info)
              if (info === 4) return ws.push('four')
            },
            terminate: (reason) => {
              reasons.push(
                reason.type === 'error' && [reason.code, (reason.error as { code?: string }).code]
              )
            }
          }
        })
      }
    })
    const drop = await connect(t, server.url('/drop'))
    drop.send('go')
    t.same(await drop.nextJson(), {
      taken: [true, true, true, true, false, false],
      again: false,
      aborted: false,
      dropped: 3
    })
    t.equal(await drop.next(), 'four')
    drop.send('go')
    t.same(await drop.nextJson(), {
      taken: [true, true, true, true, false, false],
      again: false,
      aborted: false,
      dropped: 6
    })
    t.equal(await drop.next(), 'four')
    t.same(handled['drop'], [1, 2, 3, 4, 1, 2, 3, 4])
    t.equal(
      server.logs.filter(({ msg }) => msg === 'the mailbox is full: infos are dropped').length,
      1
    )
    const close = await connect(t, server.url('/close'))
    close.send('go')
    t.same(await close.closed, { code: 1013, reason: '' })
    t.same(close.received, [])
    drop.close()
    await server.app.close()
    t.same(reasons.filter(Boolean), [[1013, 'FST_WEBSOCK_MAILBOX_FULL']])
    t.same(handled['close'], [])
  }
)
