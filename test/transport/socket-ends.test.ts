import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Socket } from 'node:net'
import type { TerminateReason } from '../../src/index.ts'
import { until } from '../helpers/differential.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown } from '../helpers/server.ts'
import { KINDS, named, startEcho, turns, wire } from './echo.ts'

interface Life {
  socket: Socket
  readonly seen: string[]
  readonly ends: string[]
  resume: () => void
}

const describe = (reason: TerminateReason): string =>
  `${reason.type} ${'code' in reason ? reason.code : ''}`

/** The number of timers that keep the process alive. */
const countTimers = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

/**
 * One connection of an echo server. The message `ruin` calls `ruin`, `pause` pauses reading, `much`
 * is answered with 16 MiB.
 */
async function open (
  t: Teardown,
  compress: boolean,
  {
    begin,
    ruin
  }: { begin?: (socket: Socket, ws: any) => void, ruin?: (socket: Socket) => void } = {}
): Promise<Life & { raw: RawClient }> {
  const life: Life = { socket: undefined as never, seen: [], ends: [], resume: () => {} }
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress, closeTimeoutMs: 60_000, maxBufferedBytes: 2 ** 28 },
      websocketHandler: {
        init ({ request }, ws) {
          life.socket = request.raw.socket
          life.resume = () => ws.resume()
          begin?.(life.socket, ws)
        },
        handleIn (message, _state, ws) {
          life.seen.push(String(message.data))
          if (message.data === 'ruin') ruin?.(life.socket)
          if (message.data === 'pause') ws.pause()
          if (message.data === 'much') return ws.push(randomBytes(2 ** 24))
          return ws.push(message)
        },
        terminate (reason) { life.ends.push(describe(reason)) }
      }
    })
  }, { level: 'silent', fastify: { connectionTimeout: 3_600_000 } })
  const raw = await connectRaw(t, server.port)
  raw.write(handshake('/', compress ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {}))
  await raw.until(({ text }) => text.includes('\r\n\r\n'))
  return Object.assign(life, { raw })
}

const halves = (first: string, second: string): Buffer[] => [
  frame(1, first, { fin: false }),
  frame(0, second)
]

/** The sent frames, the messages that the handler gets, and the end. */
const CASES: Record<string, [frames: Buffer[], seen: string[], end: string]> = {
  'plain frames': [[text('a'), closeFrame(4000)], ['a'], 'remote 4000'],
  'fragments between': [
    [...halves('a', 'b'), text('c'), frame(9), closeFrame(4000)],
    ['ab', 'c'],
    'remote 4000'
  ],
  'a wrong frame': [[text('a'), frame(3), text('b'), closeFrame(4000)], ['a'], 'error 1002'],
  'text that is not UTF-8': [[frame(1, Buffer.from([0xff])), closeFrame(4000)], [], 'error 1007'],
  'a close frame with an invalid code': [[closeFrame(999), closeFrame(4000)], [], 'error 1002'],
  'half of a frame': [[...halves('a', 'b'), text('half').subarray(0, 4)], ['ab'], 'remote 1006']
}

for (const compress of [false, true]) {
  const kind = compress ? 'with permessage-deflate' : 'without an extension'

  void t.test(
    `messages of one read are handled although the socket fails between them, ${kind}`,
    async (t) => {
      const ruins: Record<string, (socket: Socket) => void> = {
        destroyed: (socket) => { socket.destroy() },
        ended: (socket) => { socket.end() },
        'resumed and destroyed': (socket) => { socket.pause().resume().destroy() }
      }
      for (const [ruined, ruin] of Object.entries(ruins)) {
        for (const [name, [frames, seen, end]] of Object.entries(CASES)) {
          const life = await open(t, compress, { ruin })
          life.raw.write(Buffer.concat([text('ruin'), ...frames]))
          await until(() => life.ends.length === 1, 'terminate is not called')
          t.same([life.seen, life.ends], [['ruin', ...seen], [end]], `${ruined}, ${name}`)
        }
      }
    }
  )

  void t.test(
    `messages before a reset by the peer are handled, ${kind}`,
    async (t) => {
      for (const [name, [frames, seen, end]] of Object.entries(CASES)) {
        const life = await open(t, compress)
        // Writing the echo of the first message fails.
        life.raw.write(Buffer.concat([text('first'), ...frames])).socket.resetAndDestroy()
        await until(() => life.ends.length === 1, 'terminate is not called')
        t.same([life.seen, life.ends], [['first', ...seen], [end]], name)
      }
    }
  )

  void t.test(
    `messages and a close frame that wait when the socket closes are handled, ${kind}`,
    async (t) => {
      const before = countTimers()
      for (const [name, [frames, seen, end]] of Object.entries(CASES)) {
        for (const resumes of [false, true]) {
          const life = await open(t, compress, { begin: (_socket, ws) => ws.pause() })
          life.raw.write(Buffer.concat(frames))
          await until(() => life.socket.readableLength > 0, 'the bytes do not arrive')
          if (resumes) life.resume()
          life.socket.destroy()
          await until(() => life.ends.length === 1, 'terminate is not called')
          t.same([life.seen, life.ends], [seen, [end]], name)
        }
      }
      await until(() => countTimers() <= before, 'a timer of an ended connection is left')
    }
  )

  void t.test(
    `a FIN after a closing handshake is seen although the handler has paused, ${kind}`,
    async (t) => {
      const life = await open(t, compress)
      life.raw.write(Buffer.concat([text('pause'), closeFrame(4000)]))
      await life.raw.until((raw) => raw.frames().length === 2)
      life.raw.write(text('late')).socket.end()
      await until(() => life.ends.length === 1, 'the FIN is not seen')
      t.same(life.ends, ['remote 4000'])
    }
  )

  void t.test(
    `a peer that sends pings and does not read is cut off when too many pongs wait, ${kind}`,
    async (t) => {
      const life = await open(t, compress)
      life.raw.socket.pause()
      life.raw.write(text('much'))
      await until(() => life.socket.writableLength > 0, 'no bytes wait to be sent')
      // The pongs of three pings, in separate packets, may wait. Those of 1 100 pings may not.
      for (let i = 0; i < 3; i++) {
        const read = life.socket.bytesRead
        life.raw.write(frame(9, 'p'))
        await until(() => life.socket.bytesRead > read, 'the ping is not read')
      }
      t.same(life.ends, [])
      life.raw.write(Buffer.concat(Array.from({ length: 1100 }, () => frame(9, 'p'))))
      await until(() => life.ends.length === 1, 'the peer is not cut off')
      t.same(life.ends, ['error 1006'])
    }
  )

  void t.test(
    `a timeout and listeners that the application sets on the socket are kept, ${kind}`,
    async (t) => {
      let read = 0
      const events: string[] = []
      const life = await open(t, compress, {
        begin (socket) {
          // The timeout of the HTTP server has been removed.
          t.equal(socket.timeout, 0)
          socket.setTimeout(3_600_000)
          socket.on('data', (chunk) => { read += chunk.length }).on('end', () => events.push('end'))
          socket.once('data', () => events.push('data')).once('end', () => events.push('end, once'))
        }
      })
      const chunks = [
        text('a'),
        Buffer.concat(halves('b', 'c')),
        text('d'),
        Buffer.concat([text('e'), ...halves('f', 'g'), closeFrame(1000)])
      ]
      for (const [i, chunk] of chunks.entries()) {
        life.raw.write(chunk)
        await life.raw.until((raw) => raw.frames().length > i)
      }
      t.equal(life.socket.timeout, 3_600_000)
      life.raw.socket.end()
      await until(() => life.ends.length === 1, 'terminate is not called')
      t.equal(read, Buffer.concat(chunks).length)
      await until(() => events.length === 3, 'FIN is not seen')
      t.same(events, ['data', 'end', 'end, once'])
      t.same(life.ends, ['remote 1000'])
    }
  )
}

void t.test('the server ends its side once, however the peer ends', async (t) => {
  let ended = 0
  const server = await startEcho(t)
  server.app.server.on('connection', (socket: Socket) => {
    const end = socket.end
    socket.end = function (...args: unknown[]) {
      ended++
      return end.apply(this, args as never)
    }
  })
  for (const first of [text('a'), Buffer.concat([frame(1, 'a', { fin: false }), frame(0)])]) {
    for (const last of [closeFrame(1000), closeFrame(), text('no close frame')]) {
      ended = 0
      const raw = await server.open({ allowHalfOpen: true })
      raw.write(Buffer.concat([first, last]))
      await raw.until((raw) => raw.frames().length === 2)
      raw.socket.end()
      await raw.ended
      t.equal(ended, 1)
    }
  }
})

void t.test('an unread close frame is reported when the socket is destroyed', async (t) => {
  for (const compress of KINDS) {
    const ends: TerminateReason[] = []
    let socket: Socket | undefined
    const server = await startEcho(
      t,
      {
        init ({ request }, ws) {
          socket = request.raw.socket
          ws.pause()
        },
        terminate: (reason) => { ends.push(reason) }
      },
      { compress }
    )
    const raw = await server.open()
    raw.write(Buffer.concat([text('a'), closeFrame(4000, 'enough')]))
    await until(() => (socket as Socket).readableLength > 0, 'the bytes do not arrive')
    ;(socket as Socket).destroy()
    await until(() => ends.length === 1, 'terminate is not called')
    t.same(ends, [{ type: 'remote', code: 4000, reason: 'enough' }], named(compress))
  }
})

for (const compress of KINDS) {
  void t.test(`frames after a close frame do not delay the end, ${named(compress)}`, async (t) => {
    const ends: string[] = []
    const server = await startEcho(
      t,
      { terminate: ({ type }) => { ends.push(type) } },
      { compress }
    )
    const raw = await server.open({ allowHalfOpen: true })
    raw.write(closeFrame(1000))
    await raw.until((raw) => wire(raw).includes('close 1000'))
    for (let i = 0; i < 4; i++) {
      raw.write(text('late'))
      await turns()
    }
    raw.socket.end()
    await until(() => ends.length === 1, 'terminate is not called')
    t.same(ends, ['remote'])
    t.same(server.logs, [])
  })

  void t.test(`messages before a FIN are answered, ${named(compress)}`, async (t) => {
    let resume = (): void => {}
    const server = await startEcho(
      t,
      {
        init: (_args, ws) => {
          ws.pause()
          resume = () => ws.resume()
        }
      },
      { compress }
    )
    const raw = await server.open({ allowHalfOpen: true })
    raw.write(Buffer.concat([text('a'), text('b')]))
    raw.socket.end()
    await turns()
    resume()
    await raw.ended
    t.same(wire(raw), ['text a', 'text b'])
  })

  void t.test(`pushed messages are sent before the close frame, ${named(compress)}`, async (t) => {
    let gone = 0
    const server = await startEcho(
      t,
      {
        handleIn ({ data }, _state, ws) {
          if (data === 'throw') throw new Error('as planned')
          if (data === 'unsendable') return ws.push(['x', 5])
          if (data === 'stop') {
            return ws.stop('normal', 4000, ['x', 'y'.repeat(compress ? 1000 : 70_000), 'z'])
          }
          if (data === 'end') void server.app.close()
          return ws.push(data)
        },
        terminate () { gone++ }
      },
      { compress }
    )
    const cases = {
      throw: ['text a', 'text b', 'close 1011'],
      unsendable: ['text a', 'text b', 'close 1011'],
      stop: [
        'text a',
        'text b',
        'text x',
        `text ${'y'.repeat(compress ? 1000 : 70_000)}`,
        'text z',
        'close 4000'
      ],
      end: ['text a', 'text b', 'text end', 'text behind', 'close 1012']
    }
    for (const [word, wanted] of Object.entries(cases)) {
      const raw = await server.open()
      raw.write(Buffer.concat([text('a'), text('b'), text(word), text('behind')]))
      await raw.until((raw) => raw.frames().some(({ opcode }) => opcode === 8))
      t.same(wire(raw), wanted)
      raw.write(closeFrame(1000)).socket.end()
      await raw.ended
    }
    await until(() => gone === 4, 'terminate is not called for each connection')
  })

  void t.test(`a handler may destroy its socket, ${named(compress)}`, async (t) => {
    const seen: string[] = []
    const ends: string[] = []
    const server = await startEcho(
      t,
      {
        init: ({ request }, ws) => ws.ok(request.raw.socket),
        handleIn ({ data }, state, ws) {
          seen.push(String(data))
          if (data === 'destroy') (state as Socket).destroy()
          return ws.push(data)
        },
        terminate: ({ type }) => { ends.push(type) }
      },
      { compress }
    )
    const raw = await server.open()
    raw.write(Buffer.concat([
      text('a'), text('destroy'), text('b'), frame(9, 'ping'), frame(1, 'c', { fin: false }),
      frame(0, 'c'), closeFrame(1000)
    ]))
    await raw.ended
    await until(() => ends.length === 1, 'terminate is not called')
    t.same(seen.slice(0, 2), ['a', 'destroy'])
    t.same(ends, ['remote'])
    t.same(server.logs, [])
  })
}
