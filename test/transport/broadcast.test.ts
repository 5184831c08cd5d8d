import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketContext } from '../../src/index.ts'
import {
  closeFrame,
  connectRaw,
  frame,
  handshake,
  text,
  words,
  type RawClient
} from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

const LONG = 'x'.repeat(30_000)

void t.test('bufferedBytes counts a broadcast at once', async (t) => {
  const grown: number[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_request, ws) => { ws.subscribe('all') },
        handleIn: (_message, _state, ws) => {
          const before = ws.bufferedBytes
          for (let n = 0; n < 2; n++) app.websock.broadcast('all', 'x'.repeat(98))
          grown.push(ws.bufferedBytes - before)
        }
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/')).write(text('go'))
  await client.until(() => client.frames().length === 2)
  t.same(grown, [200])
})

void t.test("with slowPeer: 'wait' broadcasts wait in their order", async (t) => {
  const contexts: Array<WebsocketContext<string, string, unknown>> = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 64 * 1024 },
      websocketHandler: {
        init: (_request, ws) => {
          ws.subscribe('all')
          contexts.push(ws as never)
          return ws.push('ready')
        },
        handleInfo: (info, _state, ws) => ws.push(`info ${String(info)}`)
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  const { websock } = server.app
  let sent = 0
  // Each is larger than maxBufferedBytes, and is written at once until the kernel's buffers are
  // full.
  for (; contexts[0]?.bufferedBytes === 0; sent++) websock.broadcast('all', LONG.repeat(3))
  websock.broadcast('all', LONG.repeat(3))
  websock.broadcast('all', '1')
  websock.ref(contexts[0]?.ref.address ?? '').post('2')
  websock.broadcast('all', '3')
  client.socket.resume()
  await client.until(() => client.frames().length === 1 + sent + 4)
  t.same(words(client).slice(1 + sent + 1), ['1 1', '1 3', '1 info 2'])
})

type Context = WebsocketContext<string, string, unknown>

/** Broadcasts until the kernel's buffers are full. */
async function fillUp (ws: Context, broadcast: (message: string) => void): Promise<void> {
  while (ws.bufferedBytes === 0) {
    broadcast(LONG.repeat(3))
    for (let turns = 0; turns < 10; turns++) await nextTurn()
  }
}

void t.test(
  'a broadcast of terminate comes after those of the caller that ended the connection',
  async (t) => {
    const contexts = new Map<string, Context>()
    const {
      app: { websock },
      port
    } = await startServer(t, (app) => {
      app.get('/:topic', {
        schema: { params: Type.Object({ topic: Type.String() }) },
        websocketOptions: { maxBufferedBytes: 1024 },
        websocketHandler: {
          init: ({ params: { topic } }, ws) => {
            ws.subscribe(topic)
            contexts.set(topic, ws as never)
            return ws.push('ready')
          },
          terminate: () => {
            websock.broadcast('left', 'somebody has left')
          }
        }
      })
    })
    const [slow, other, left] = (await Promise.all(
      ['slow', 'other', 'left'].map(async (topic) => {
        const client = (await connectRaw(t, port)).write(handshake(`/${topic}`))
        return await client.until(() => client.frames().length === 1)
      })
    )) as [RawClient, RawClient, RawClient]
    slow.socket.pause()
    await fillUp(contexts.get('slow') as Context, (message) => websock.broadcast('slow', message))
    websock.broadcast('slow', 'too much')
    websock.broadcast('other', '1')
    websock.broadcast('left', '2')
    await Promise.all([
      other.until(() => words(other).includes('1 1')),
      left.until(() => words(left).includes('1 2'))
    ])
    t.same(words(other), ['1 ready', '1 1'])
    t.same(words(left), ['1 ready', '1 2', '1 somebody has left'])
  }
)

void t.test(
  'a slow peer that closes right after a message that broadcasts gets one close frame',
  async (t) => {
    const contexts: Context[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { maxBufferedBytes: 1024 },
        websocketHandler: {
          init: (_request, ws) => {
            ws.subscribe('all')
            contexts.push(ws as never)
            return ws.push('ready')
          },
          handleIn: () => {
            app.websock.broadcast('all', 'too much')
          }
        }
      })
    })
    const client = (await connectRaw(t, server.port)).write(handshake('/'))
    await client.until(() => client.frames().length === 1)
    client.socket.pause()
    const ws = contexts[0] as Context
    await fillUp(ws, (message) => server.app.websock.broadcast('all', message))
    client.write(Buffer.concat([text('go'), closeFrame(1000)]))
    while (!ws.signal.aborted) await nextTurn()
    client.socket.resume()
    await client.ended
    t.same(
      words(client).filter((word) => word.startsWith('8 ')),
      ['8 1000']
    )
  }
)

void t.test(
  "with slowPeer: 'wait' waiting broadcasts are sent before the close frame",
  async (t) => {
    const contexts: Context[] = []
    const {
      app: { websock },
      port
    } = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 1024 },
        websocketHandler: {
          init: (_request, ws) => {
            ws.subscribe('all')
            contexts.push(ws as never)
            return ws.push('ready')
          },
          handleInfo: (_info, _state, ws) => ws.stop('normal', 4000)
        }
      })
    })
    const client = (await connectRaw(t, port)).write(handshake('/'))
    await client.until(() => client.frames().length === 1)
    client.socket.pause()
    const ws = contexts[0] as Context
    await fillUp(ws, (message) => websock.broadcast('all', message))
    websock.broadcast('all', 'held 1')
    websock.broadcast('all', 'held 2')
    ws.post('stop')
    while (!ws.signal.aborted) await nextTurn()
    client.socket.resume()
    await client.until(() => words(client).some((word) => word.startsWith('8 ')))
    t.same(words(client).slice(-3), ['1 held 1', '1 held 2', '8 4000'])
  }
)

void t.test(
  'terminate is called at once when the broadcasts of a callback end its own connection',
  async (t) => {
    const reasons: string[] = []
    const contexts: Context[] = []
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 1024, maxMailboxLength: 2 },
        websocketHandler: {
          init: (_request, ws) => {
            ws.subscribe('all')
            contexts.push(ws as never)
            return ws.push('ready')
          },
          handleIn: async (_message, _state, ws) => {
            await fillUp(ws as never, (message) => app.websock.broadcast('all', message))
            for (let n = 0; n < 5; n++) app.websock.broadcast('all', 'too many')
          },
          terminate: ({ type }) => {
            reasons.push(type)
          }
        }
      })
    })
    const client = (await connectRaw(t, server.port)).write(handshake('/'))
    await client.until(() => client.frames().length === 1)
    client.socket.pause()
    client.write(text('go'))
    while (contexts[0]?.signal.aborted !== true) await nextTurn()
    await nextTurn()
    t.same(reasons, ['error'])
    client.socket.destroy()
  }
)

for (const [answered, bytes, answer] of [
  ['ping', frame(9), '10 '],
  ['close frame', closeFrame(1000), '8 1000']
] as const) {
  for (const [kind, websocketOptions] of [['plain', {}]] as const) {
    void t.test(
      `${kind}: a broadcast is sent before the answer to a ${answered} that is read after it`,
      async (t) => {
        const server = await startServer(t, (app) => {
          app.get('/', {
            websocketOptions,
            websocketHandler: {
              init: ({ request }, ws) => {
                ws.subscribe('all')
                return ws.push('ready', request.raw.socket)
              },
              handleIn: async (_message, socket, ws) => {
                ws.pause()
                client.write(bytes)
                while (socket.readableLength === 0) await nextTurn()
                ws.resume()
                app.websock.broadcast('all', 'before')
              }
            }
          })
        })
        const client = (await connectRaw(t, server.port)).write(handshake('/')).write(text('go'))
        await client.until(() => words(client).includes(answer))
        t.same(words(client), ['1 ready', '1 before', answer])
      }
    )
  }
}

void t.test(
  'broadcasts of one tick to a slow peer use at most maxBufferedBytes and two messages',
  async (t) => {
    const LIMIT = 64 * 1024
    const many = Array.from({ length: 60 }, () => 'x'.repeat(1000))
    const most: number[] = []
    const contexts: Context[] = []
    const {
      app: { websock },
      port
    } = await startServer(t, (app) => {
      app.get('/:topic', {
        schema: { params: Type.Object({ topic: Type.String() }) },
        websocketOptions: { slowPeer: 'drop', maxBufferedBytes: LIMIT },
        websocketHandler: {
          init: ({ params: { topic } }, ws) => {
            ws.subscribe(topic)
            contexts.push(ws as never)
            return ws.push('ready')
          },
          handleInfo: (info, _state, ws) => {
            if (info === 'push') return ws.push(many)
            for (const message of many) websock.broadcast(String(info), message)
            most.push(contexts.at(-1)?.bufferedBytes ?? 0)
          }
        }
      })
    })
    const open = async (topic: string): Promise<RawClient> => {
      const client = (await connectRaw(t, port)).write(handshake(`/${topic}`))
      return await client.until(() => client.frames().length === 1)
    }
    await open('broadcaster')
    // Each trial first fills the kernel's buffer a little more, so that in some trials it becomes
    // full within the burst.
    for (let trial = 0; trial < 20; trial++) {
      const client = await open(`${trial}`)
      client.socket.pause()
      const ws = contexts.at(-1) as Context
      for (let n = 0; n < trial; n++) websock.broadcast(`${trial}`, 'x'.repeat(3000))
      while (ws.droppedMessages === 0) {
        // Both are handled in one tick, one after the other.
        websock.ref(ws.ref.address).post('push')
        websock.ref(contexts[0]?.ref.address ?? '').post(`${trial}`)
        await nextTurn()
      }
      client.socket.destroy()
    }
    // One more message waits for the end of its tick, where it is dropped.
    t.ok(Math.max(...most) <= LIMIT + 2 * 1004, `${Math.max(...most)} bytes`)
  }
)
