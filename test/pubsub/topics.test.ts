import t from 'tap'
import { createHook } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import { encode, decode } from '@msgpack/msgpack'
import { Type } from '@fastify/type-provider-typebox'
import { topic, typed, type BinaryCodec } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { connectRaw, handshake } from '../helpers/raw.ts'
import { startServer, type App, type Teardown, type TestServer } from '../helpers/server.ts'

const Chat = Type.Object({ text: Type.String() })

/**
 * A connection to `/rooms/:room` subscribes to that room. Its messages are commands. Infos are
 * pushed with the prefix `info`.
 */
async function startRooms (
  t: Teardown,
  routes: (app: App) => void = () => {}
): Promise<TestServer & { refs: Map<string, string> }> {
  const refs = new Map<string, string>()
  const server = await startServer(t, (app) => {
    app.get('/rooms/:room', {
      schema: {
        params: Type.Object({ room: Type.String() }),
        querystring: Type.Object({ name: Type.Optional(Type.String()) })
      },
      websocketHandler: {
        init: ({ params, query }, ws) => {
          ws.subscribe(params.room)
          refs.set(query.name ?? '', ws.ref.address)
          return ws.push('ready', params.room)
        },
        handleIn: ({ data }, room, ws) => {
          if (data === 'leave') ws.unsubscribe(room)
          if (data === 'again') ws.subscribe(room)
          if (data === 'stop') return ws.stop()
          return ws.push(`did ${String(data)}`)
        },
        handleInfo: (info, _room, ws) => ws.push(`info ${String(info)}`)
      }
    })
    routes(app)
  })
  return { ...server, refs }
}

async function join (t: Teardown, server: TestServer, path: string) {
  const client = await connect(t, server.url(path))
  t.teardown(() => client.close())
  await client.next()
  return client
}

void t.test('publications reach mailboxes of subscribers, broadcasts their sockets', async (t) => {
  const server = await startRooms(t)
  const [a, b, elsewhere] = [
    await join(t, server, '/rooms/one'),
    await join(t, server, '/rooms/one'),
    await join(t, server, '/rooms/two')
  ]
  server.app.websock.publish('one', 'first')
  for (const client of [a, b]) t.equal(await client.next(), 'info first')
  server.app.websock.broadcast('one', 'second')
  for (const client of [a, b]) t.equal(await client.next(), 'second')
  server.app.websock.publish('two', 'third')
  t.equal(await elsewhere.next(), 'info third', 'no message of the other room before')
  server.app.websock.publish('nobody', 'x')
  server.app.websock.broadcast('nobody', 'x')
})

void t.test('a typed topic is accepted wherever a name is', async (t) => {
  const room = (id: string) => topic<{ Message: string, Info: string }>(`room ${id}`)
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { info: typed<string>() } },
      websocketHandler: {
        init (_args, ws) {
          ws.subscribe(room('5'))
          ws.track(room('5'), 'ann')
          ws.track(room('5'), 'bob')
          ws.untrack(room('5'), 'bob')
          return ws.push('ready')
        },
        handleIn (_message, _state, ws) {
          ws.unsubscribe(room('5'))
          return ws.push('unsubscribed')
        },
        handleInfo: (info, _state, ws) => ws.push(`info ${info}`)
      }
    })
  })
  const { websock } = server.app
  const infos: unknown[] = []
  const listener = { handleInfo: (info: string) => { infos.push(info) } }
  websock.subscribe(room('5'), listener)
  websock.track(room('5'), 'server')
  const client = await join(t, server, '/')
  websock.publish(room('5'), 'one')
  t.equal(await client.next(), 'info one')
  websock.broadcast(room('5'), 'two')
  t.equal(await client.next(), 'two')
  websock.publish('room 5', 'three')
  t.equal(await client.next(), 'info three')
  t.same(websock.presence(room('5')).map(({ key }) => key).sort(), ['ann', 'server'])
  websock.untrack(room('5'), 'server')
  t.same(websock.presence('room 5').map(({ key }) => key), ['ann'])
  websock.unsubscribe(room('5'), listener)
  client.send('unsubscribe')
  t.equal(await client.next(), 'unsubscribed')
  websock.publish(room('5'), 'four')
  client.send('last')
  t.equal(await client.next(), 'unsubscribed', 'no info before')
  t.same(infos, ['one', 'three'])
})

void t.test('a topic is frozen, and its text is its name', async (t) => {
  const room = topic('room 5')
  t.equal(`${room}`, 'room 5')
  t.equal(room.name, 'room 5')
  t.ok(Object.isFrozen(room))
  const { app } = await startRooms(t)
  for (const wrong of [topic(''), topic(5 as never), { name: 'room 5' }, null]) {
    t.throws(() => app.websock.publish(wrong as never, 1), { code: 'FST_WEBSOCK_INVALID_TOPIC' })
  }
})

void t.test('a topic of another copy of the package is a topic', async (t) => {
  const server = await startRooms(t)
  const client = await join(t, server, '/rooms/one')
  const { topic } = createRequire(__filename)('../../index.js')
  server.app.websock.publish(topic('one'), 'info')
  t.match(await client.next(), /info/)
})

void t.test('except excludes one connection, by ref or by address', async (t) => {
  const server = await startRooms(t)
  const [a, b] = [
    await join(t, server, '/rooms/one?name=a'),
    await join(t, server, '/rooms/one?name=b')
  ]
  const [addressOfA, addressOfB] = [server.refs.get('a') ?? '', server.refs.get('b') ?? '']
  const { websock } = server.app
  websock.publish('one', 1, { except: addressOfA })
  websock.publish('one', 2, { except: websock.ref(addressOfB) })
  t.equal(await b.next(), 'info 1')
  t.equal(await a.next(), 'info 2')
  websock.broadcast('one', '3', { except: websock.ref(addressOfA) })
  websock.broadcast('one', '4', { except: addressOfB })
  t.equal(await b.next(), '3')
  t.equal(await a.next(), '4')
})

void t.test('subscribe is idempotent, and ends with unsubscribe or the connection', async (t) => {
  const server = await startRooms(t)
  const [a, b] = [await join(t, server, '/rooms/one'), await join(t, server, '/rooms/one')]
  a.send('again')
  t.equal(await a.next(), 'did again')
  server.app.websock.broadcast('one', 'once')
  t.equal(await a.next(), 'once')
  a.send('leave')
  t.equal(await a.next(), 'did leave')
  a.send('leave')
  t.equal(await a.next(), 'did leave', 'no message before, and a second unsubscribe does nothing')
  t.equal(await b.next(), 'once')
  b.send('stop')
  t.equal((await b.closed).code, 1000)
  server.app.websock.broadcast('one', 'to nobody')
  a.send('again')
  t.equal(await a.next(), 'did again')
  server.app.websock.broadcast('one', 'back')
  t.equal(await a.next(), 'back')
})

void t.test('all messages of one tick arrive in their order', async (t) => {
  const { app, ...server } = await startRooms(t, (app) => {
    app.get('/order', {
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('order')
          return ws.push('ready')
        },
        handleIn: (_message, _state, ws) => {
          for (let n = 0; n < 8; n++) app.websock.broadcast('order', `shared ${n}`)
          return ws.push(['own 0', 'own 1'])
        },
        handleInfo: (info, _state, ws) => {
          app.websock.broadcast('order', `shared ${String(info)}`)
          return ws.push(`own ${String(info)}`)
        }
      }
    })
  })
  const clients = [
    await join(t, { app, ...server }, '/order'),
    await join(t, { app, ...server }, '/order'),
    await join(t, { app, ...server }, '/order')
  ]
  const [first, ...others] = clients
  first?.send('go')
  const shared = Array.from({ length: 8 }, (_, n) => `shared ${n}`)
  for (const wanted of [...shared, 'own 0', 'own 1']) t.equal(await first?.next(), wanted)
  for (const other of others) for (const wanted of shared) t.equal(await other.next(), wanted)

  app.websock.publish('order', 'x')
  const received = await Promise.all(clients.map(async (client) => [
    await client.next(),
    await client.next(),
    await client.next(),
    await client.next()
  ]))
  // Each handler broadcasts, then pushes. Each client gets three broadcasts, and its own message
  // after the broadcast of its own handler.
  t.same(received, [
    ['shared x', 'own x', 'shared x', 'shared x'],
    ['shared x', 'shared x', 'own x', 'shared x'],
    ['shared x', 'shared x', 'shared x', 'own x']
  ])
})

void t.test('a broadcast is serialized once for each route, by schema and codec', async (t) => {
  let encoded = 0
  const codec: BinaryCodec = {
    opcode: 'binary',
    decode: (data) => decode(data),
    encode: (message) => {
      encoded++
      return encode(message)
    }
  }
  const server = await startServer(t, (app) => {
    for (const [path, websocketOptions] of [
      ['/json', {}],
      ['/compressed', { compress: true }],
      ['/binary', { codec }]
    ] as const) {
      app.get(path, {
        schema: { websocket: { send: Chat } },
        websocketOptions,
        websocketHandler: {
          init: (_args, ws) => {
            ws.subscribe('all')
            return ws.push({ text: 'ready' })
          }
        }
      })
    }
  })
  const paths = ['/json', '/json', '/compressed', '/compressed', '/binary', '/binary']
  const clients = await Promise.all(paths.map((path) => join(t, server, path)))
  encoded = 0
  const texts = ['short', 'x'.repeat(125), 'é'.repeat(100), 'long '.repeat(20_000)]
  for (const text of texts) server.app.websock.broadcast('all', { text, secret: 'stripped' })
  for (const [i, client] of clients.entries()) {
    for (const text of texts) {
      const data = await client.next()
      t.same(typeof data === 'string' ? JSON.parse(data) : decode(data), { text }, String(paths[i]))
    }
  }
  t.equal(encoded, texts.length)
})

void t.test('a broadcast to compressed connections is deflated once, and in order', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: true },
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('all')
          return ws.push('ready')
        },
        handleIn: (_message, _state, ws) => {
          // The broadcast comes while the large message is being sent.
          process.nextTick(() => app.websock.broadcast('all', 'behind '.repeat(1000)))
          return ws.push('first '.repeat(50_000))
        }
      }
    })
  })
  const clients = await Promise.all(Array.from({ length: 20 }, () => join(t, server, '/')))
  for (const { socket } of clients) t.equal(socket.extensions, 'permessage-deflate')
  let deflaters = 0
  const hook = createHook({
    init: (_id, type) => {
      if (type === 'ZLIB') deflaters++
    }
  })
  t.teardown(() => hook.disable())
  const texts = [
    'small',
    'large '.repeat(10_000),
    randomBytes(3000).toString('base64'),
    'x'.repeat(1024),
    'x'.repeat(1023)
  ]
  hook.enable()
  for (const text of texts) server.app.websock.broadcast('all', text)
  hook.disable()
  t.equal(deflaters, 3, 'one for each of the 3 texts of at least 1 KiB, for 20 clients')
  for (const client of clients) for (const text of texts) t.equal(await client.next(), text)

  const [writer, ...others] = clients as [(typeof clients)[0], ...typeof clients]
  writer.send('go')
  t.match(await writer.next(), /^first /)
  for (const client of [writer, ...others]) t.match(await client.next(), /^behind /)
})

void t.test('a client with a smaller window gets broadcasts deflated in that window', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { compress: true },
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('all')
          return ws.push('ready')
        }
      }
    })
  })
  const raw = await connectRaw(t, server.port)
  raw.write(
    handshake('/', { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=9' })
  )
  await raw.until((raw) => raw.frames().length === 1)
  t.match(raw.text, /server_max_window_bits=9/)
  // The message repeats itself at a distance beyond that window.
  const message = randomBytes(2000).toString('hex').repeat(3)
  server.app.websock.broadcast('all', message)
  await raw.until((raw) => raw.frames().length === 2)
  const payload = raw.frames()[1]?.payload as Buffer
  const inflate = (windowBits: number): string =>
    zlib
      .inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 255, 255])]), {
        windowBits,
        finishFlush: zlib.constants.Z_SYNC_FLUSH,
        chunkSize: 64
      })
      .toString()
  t.equal(inflate(9), message)
})

void t.test('a broadcast that a route cannot serialize throws, and is not delivered', async (t) => {
  const server = await startRooms(t, (app) => {
    app.get('/strict', {
      schema: { websocket: { send: Type.Object({ n: Type.Integer() }) } },
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('one')
          return ws.push({ n: 0 })
        }
      }
    })
  })
  const [loose, strict] = [await join(t, server, '/rooms/one'), await join(t, server, '/strict')]
  t.throws(() => server.app.websock.broadcast('one', 'a text'), { code: 'FST_WEBSOCK_UNSENDABLE' })
  t.throws(
    () => server.app.websock.broadcast('one', { n: 1 }),
    { code: 'FST_WEBSOCK_UNSENDABLE' },
    'the other route cannot serialize this message'
  )
  server.app.websock.publish('one', 'still here')
  t.equal(await loose.next(), 'info still here')
  strict.close()
  t.equal((await strict.closed).code, 1005)
})

void t.test('an invalid topic is refused', async (t) => {
  const server = await startRooms(t)
  const { websock } = server.app
  for (const topic of ['', 'x'.repeat(1025), 5, undefined, null, {}]) {
    t.throws(() => websock.publish(topic as never, 1), { code: 'FST_WEBSOCK_INVALID_TOPIC' })
    t.throws(() => websock.broadcast(topic as never, '1'), { code: 'FST_WEBSOCK_INVALID_TOPIC' })
  }
  await join(t, server, `/rooms/${'x'.repeat(100)}`)
  websock.broadcast('x'.repeat(1024), 'fits')
})
