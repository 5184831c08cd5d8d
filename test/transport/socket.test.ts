import t from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { closeFrame, connectRaw, frame, handshake, RawClient, text } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'
import { KINDS, named, Side, startEcho, turns, wire } from './echo.ts'

t.setTimeout(180_000)

void t.test('a frame that arrives in two pieces is answered in its place', async (t) => {
  const server = await startEcho(t)
  const raw = await server.open()
  const halved = text('halved')
  raw.write(Buffer.concat([text('a'), halved.subarray(0, 4)]))
  await raw.until((raw) => raw.frames().length === 1)
  raw.write(Buffer.concat([halved.subarray(4), frame(9, 'p'), text('b')]))
  await raw.until((raw) => raw.frames().length === 4)
  t.same(wire(raw), ['text a', 'text halved', 'pong p', 'text b'])
})

for (const compress of KINDS) {
  void t.test(`messages of one packet are answered in order, ${named(compress)}`, async (t) => {
    const server = await startEcho(
      t,
      { handleControl: ({ data }, _state, ws) => ws.push(`saw ${String(data)}`) },
      { compress }
    )
    const raw = await server.open()
    raw.write(Buffer.concat([
      text('a'), frame(9, '1'), frame(9, '2'), text('b'), frame(1, 'c', { fin: false }),
      frame(9, '3'), frame(0, 'c'), text('d'), frame(9, '4'), closeFrame(1000)
    ]))
    await raw.until((raw) => wire(raw).includes('close 1000'))
    t.same(wire(raw), [
      'text a', 'pong 1', 'text saw 1', 'pong 2', 'text saw 2', 'text b', 'pong 3', 'text saw 3',
      'text cc', 'text d', 'pong 4', 'text saw 4', 'close 1000'
    ])
  })

  void t.test(`nothing is handled after an invalid frame, ${named(compress)}`, async (t) => {
    const seen: string[] = []
    const server = await startEcho(
      t,
      { handleIn: ({ data }) => { seen.push(String(data)) } },
      { compress }
    )
    const wrong: Array<[string, Buffer[]]> = [
      ['close 1002', [frame(1, 'x', { fin: false }), text('y')]],
      ['close 1007', [frame(1, 'x', { fin: false }), frame(0, Buffer.from([0xff]))]],
      ['close 1007', [text('before'), frame(1, Buffer.from([0xff]))]],
      ['close 1002', [frame(0, 'x')]],
      [
        'close 1009',
        [
          frame(2, Buffer.alloc(60_000), { fin: false }),
          ...Array.from({ length: 18 }, () => frame(0, Buffer.alloc(60_000), { fin: false })),
          frame(0)
        ]
      ]
    ]
    for (const [close, frames] of wrong) {
      const raw = await server.open()
      raw.write(Buffer.concat([
        ...frames,
        text('behind'),
        frame(9, 'behind'),
        frame(0, 'behind'),
        text('behind')
      ]))
      await raw.until((raw) => raw.frames().some(({ opcode }) => opcode === 8))
      await turns()
      t.equal(wire(raw).at(-1), close)
      t.notOk(seen.includes('behind'))
      t.notOk(wire(raw).some((line) => line.startsWith('pong')))
    }
  })

  void t.test(`after pause() the rest of the packet is handled, ${named(compress)}`, async (t) => {
    let resume = (): void => {}
    const server = await startEcho(
      t,
      {
        handleIn (message, _state, ws) {
          if (message.data === 'pause') {
            ws.pause()
            resume = () => ws.resume()
          }
          return ws.push(message)
        }
      },
      { compress }
    )
    const raw = await server.open()
    const half = text('halved')
    raw.write(Buffer.concat([text('a'), text('pause'), text('b'), half.subarray(0, 4)]))
    await raw.until((raw) => wire(raw).includes('text b'))
    raw.write(Buffer.concat([half.subarray(4), text('c')]))
    await turns()
    t.same(wire(raw), ['text a', 'text pause', 'text b'])
    resume()
    await raw.until((raw) => wire(raw).includes('text c'))
    t.same(wire(raw), ['text a', 'text pause', 'text b', 'text halved', 'text c'])
  })

  void t.test(`the rate limit counts each message of a packet, ${named(compress)}`, async (t) => {
    const server = await startEcho(
      t,
      {},
      { compress, rateLimit: { messages: 3, intervalMs: 3_600_000 } }
    )
    const raw = await server.open()
    raw.write(Buffer.concat(['a', 'b', 'c', 'd', 'e'].map((letter) => text(letter))))
    await raw.until((raw) => raw.frames().some(({ opcode }) => opcode === 8))
    t.same(wire(raw), ['text a', 'text b', 'text c', 'close 1008'])
  })

  void t.test(`clients of injectWS get all answers in order, ${named(compress)}`, async (t) => {
    const server = await startEcho(
      t,
      { handleIn: ({ data }, _state, ws) => ws.push([data, `${String(data).length}`]) },
      { compress }
    )
    const got: string[][] = [[], []]
    const sockets = await Promise.all(got.map(async (list, n) => {
      const socket = await server.app.injectWS('/')
      socket.on('message', (data: Buffer) => {
        list.push(data.toString())
        if (list.length === 2) {
          for (let i = 0; i < 50; i++) socket.send(`${n} from within ${i}`.repeat(i))
        }
      })
      return socket
    }))
    for (const [n, socket] of sockets.entries()) socket.send(`${n} first`)
    await until(() => got.every((list) => list.length === 102), 'not all messages are answered')
    for (const [n, list] of got.entries()) {
      const sent = [
        `${n} first`,
        ...Array.from({ length: 50 }, (_none, i) => `${n} from within ${i}`.repeat(i))
      ]
      t.same(list, sent.flatMap((message) => [message, String(message.length)]))
    }
    for (const socket of sockets) socket.terminate()
  })

  void t.test(`streams that deliver within write() stay apart, ${named(compress)}`, async (t) => {
    const server = await startEcho(t, {}, { compress })
    const open = async (): Promise<{ side: Side, wire: () => string[] }> => {
      const [side, other] = Side.pair()
      const chunks: Buffer[] = []
      side.on('data', (chunk: Buffer) => chunks.push(chunk))
      server.app.server.emit('connection', other)
      side.write(handshake('/'))
      await until(() => chunks.length > 0, 'no 101')
      chunks.length = 0
      t.teardown(() => side.destroy())
      return {
        side,
        wire: () =>
          wire(Object.assign(new RawClient(side as never), {
            bytes: Buffer.concat([Buffer.from('\r\n\r\n'), ...chunks])
          }))
      }
    }
    const [a, b] = [await open(), await open()]
    let left = 3
    a.side.on('data', () => {
      if (left-- > 0) a.side.write(Buffer.concat([text('secret'), frame(9, 'p'), text('of a')]))
    })
    a.side.write(text('one'))
    b.side.write(text('two'))
    await turns()
    t.same(b.wire(), ['text two'])
    t.equal(a.wire()[0], 'text one')
    t.same(a.wire().slice(1).toSorted(), [
      ...Array<string>(3).fill('pong p'),
      ...Array<string>(3).fill('text of a'),
      ...Array<string>(3).fill('text secret')
    ])
  })

  void t.test(`messages over TLS are echoed whole, ${named(compress)}`, async (t) => {
    const read = (name: string): Buffer => readFileSync(join(__dirname, '../fixtures', name))
    const ca = read('localhost-cert.pem')
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { compress, maxBufferedBytes: 2 ** 30 },
        websocketHandler: { handleIn: (message, _state, ws) => ws.push([message, message]) }
      })
    }, { fastify: { https: { key: read('localhost-key.pem'), cert: ca } } as object })
    const client = await connect(t, `wss://127.0.0.1:${server.port}/`, { ca })
    const sizes = Array.from(
      { length: 300 },
      (_none, i) => (i * 7919) % (i % 10 === 0 ? 70_000 : 900)
    )
    for (const [i, size] of sizes.entries()) client.send(Buffer.alloc(size, `${i};`))
    const wrong: number[] = []
    for (const [i, size] of sizes.entries()) {
      const wanted = Buffer.alloc(size, `${i};`)
      for (const echo of [await client.next(), await client.next()]) {
        if (!wanted.equals(echo as Buffer)) wrong.push(i)
      }
    }
    t.same(wrong, [], 'messages with another echo')
  })

  void t.test(`an upgrade works after another request, ${named(compress)}`, async (t) => {
    const server = await startEcho(t, {}, { compress })
    server.app.log.level = 'silent'
    const raw = await connectRaw(t, server.port)
    raw.write(Buffer.concat([
      Buffer.from('GET /none HTTP/1.1\r\nHost: a\r\n\r\n'),
      Buffer.from(handshake('/')),
      text('a'),
      text('b'),
      frame(9, 'p')
    ]))
    await raw.until(({ text }) => text.includes('p', text.lastIndexOf('\r\n\r\n')))
    t.match(raw.text, /^HTTP\/1\.1 404 /)
    raw.bytes = raw.bytes.subarray(raw.bytes.indexOf('HTTP/1.1 101'))
    t.same(wire(raw), ['text a', 'text b', 'pong p'])
  })
}

// A raw client does not inflate: these tests are without compression.

void t.test('messages of every size arrive in order from one result', async (t) => {
  const sizes = [
    0, 1, 125, 126, 127, 21_841, 21_842, 21_843, 1, 65_521, 65_525, 65_526, 65_527, 2, 65_535,
    65_536, 3, 65_537, 200_000, 4, 1_000_000, 5
  ]
  const list = sizes.flatMap((size, i) => [
    'x'.repeat(size),
    'ü'.repeat(size >> 1),
    '€'.repeat(size / 3),
    Buffer.alloc(size, i + 1)
  ])
  const server = await startEcho(
    t,
    { handleIn: (_message, _state, ws) => ws.push(list) },
    { maxBufferedBytes: 2 ** 30 }
  )
  const raw = await server.open()
  raw.write(Buffer.concat([text('go'), text('go'), closeFrame(1000)]))
  await raw.ended
  const got = raw.frames().slice(0, -1)
  t.equal(got.length, list.length * 2)
  t.ok(got.every(({ opcode, payload }, i) => {
    const wanted = list[i % list.length] as string | Buffer
    return (
      opcode === (typeof wanted === 'string' ? 1 : 2) &&
      payload.equals(Buffer.from(wanted as string))
    )
  }))
})

void t.test('infos to many connections in one turn reach each in order', async (t) => {
  const refs: Array<{ post: (info: unknown) => boolean }> = []
  const server = await startEcho(t, {
    init: (_args, ws) => { refs.push(ws.ref) },
    handleIn ({ data }, _state, ws) {
      for (let i = 0; i < 30; i++) {
        for (const [n, ref] of refs.entries()) ref.post(`${n} ${i}`)
      }
      return ws.push(data)
    },
    handleInfo: (info, _state, ws) =>
      ws.push([
        `${String(info)} a`,
        `${String(info)} b`.padEnd(3000, 'ü'),
        Buffer.from(String(info))
      ])
  })
  const clients: RawClient[] = []
  for (let i = 0; i < 6; i++) clients.push(await server.open())
  for (const client of clients) client.write(text('tell'))
  for (const [n, client] of clients.entries()) {
    await client.until((raw) => raw.frames().length === 1 + 6 * 30 * 3)
    const infos = client.frames().map(({ payload }) => payload.toString())
      .filter((line) => line !== 'tell')
    const wanted = Array.from({ length: 6 * 30 }, (_none, i) => `${n} ${i % 30}`).flatMap(
      (info) => [`${info} a`, `${info} b`.padEnd(3000, 'ü'), info]
    )
    t.same(infos, wanted)
  }
})

void t.test('slow readers get every byte, and others their echoes meanwhile', async (t) => {
  const frames = 1500
  // Content that differs for each connection and message.
  const content = (who: number, i: number): Buffer =>
    Buffer.alloc((i * 7919) % 30_000, `${who}:${i};`)
  const server = await startEcho(
    t,
    {
      handleIn (message, _state, ws) {
        if (message.opcode !== 'text') return ws.push(message)
        ws.post([Number(message.data), 0])
      },
      handleInfo (info, _state, ws) {
        const [who, i] = info as [number, number]
        if (i + 3 < frames) ws.post([who, i + 3])
        return ws.push([content(who, i), content(who, i + 1).toString(), content(who, i + 2)])
      }
    },
    { slowPeer: 'wait', maxBufferedBytes: 1024 * 1024 }
  )
  const slow = await Promise.all([1, 2, 3].map(async () => server.open()))
  for (const [who, raw] of slow.entries()) {
    raw.socket.pause()
    raw.write(text(String(who)))
  }
  const others = await Promise.all([1, 2, 3, 4].map(async () => server.open()))
  for (let round = 0; round < 60; round++) {
    const sent = others.map((_raw, n) =>
      [1, 2, 3].map((i) =>
        Buffer.alloc((round * 977 + n * 31 + i * 5003) % 20_000, `other ${n} ${round} ${i},`)
      )
    )
    for (const [n, raw] of others.entries()) {
      raw.bytes = Buffer.from('\r\n\r\n')
      raw.write(Buffer.concat((sent[n] as Buffer[]).map((payload) => frame(2, payload))))
    }
    // From round 20 on the buffers of the slow readers are full, and they read a little.
    for (const raw of slow) if (round > 20 && round % 4 === 0) raw.socket.read()
    for (const [n, raw] of others.entries()) {
      await raw.until((raw) => raw.frames().length === 3)
      if (
        !Buffer.concat(raw.frames().map(({ payload }) => payload)).equals(
          Buffer.concat(sent[n] as Buffer[])
        )
      ) {
        t.fail(`echo of ${n} in round ${round}`)
      }
    }
  }
  for (const [who, raw] of slow.entries()) {
    raw.socket.resume()
    const wanted = Array.from({ length: frames }, (_none, i) => content(who, i))
    const size = wanted.reduce((sum, { length }) => sum + length + (length < 126 ? 2 : 4), 0)
    await raw.until(({ size: got }) => got > size, 10_000)
    const got = raw.frames()
    t.equal(got.length, frames)
    t.ok(got.every(
      ({ opcode, payload }, i) =>
        opcode === (i % 3 === 1 ? 1 : 2) && payload.equals(wanted[i] as Buffer)
    ))
  }
})

void t.test('a packet of messages is answered in one write', async (t) => {
  const writes = new Map<string, number>()
  const server = await startServer(t, (app) => {
    for (const [path, options] of Object.entries({
      '/plain': {},
      '/compress': { compress: true }
    })) {
      app.get(path, {
        websocketOptions: options,
        websocketHandler: {
          init ({ request }) {
            const { socket } = request.raw
            const write = socket.write.bind(socket)
            socket.write = ((...args: Parameters<typeof write>) => {
              writes.set(request.url, (writes.get(request.url) ?? 0) + 1)
              return write(...args)
            }) as never
          },
          handleIn: (message, _state, ws) => ws.push(message)
        }
      })
    }
  })
  const deflated = await connect(t, server.url('/compress?deflated'), {
    perMessageDeflate: { threshold: 0 }
  })
  t.equal(deflated.socket.extensions.split(';')[0], 'permessage-deflate')
  for (const path of ['/plain', '/compress']) {
    const raw = await connectRaw(t, server.port)
    raw.write(handshake(path))
    await raw.until(({ text }) => text.includes('\r\n\r\n'))
    raw.write(Buffer.concat(Array.from({ length: 20 }, (_none, i) => text(`${i}`))))
    await raw.until((raw) => raw.frames().length === 20)
    t.same(wire(raw), Array.from({ length: 20 }, (_none, i) => `text ${i}`))
  }
  for (let i = 0; i < 20; i++) deflated.send(`${i}`.repeat(i * 100))
  for (let i = 0; i < 20; i++) t.equal(await deflated.next(), `${i}`.repeat(i * 100))
  t.equal(writes.get('/plain'), 1)
  t.equal(writes.get('/compress'), 1)
})
