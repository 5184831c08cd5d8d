import t from 'tap'
import { createHook } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { deflateMessage } from '../../src/protocol/deflate.ts'
import { connect } from '../helpers/client.ts'
import { closeFrame, connectRaw, frame, handshake, text, type RawClient } from '../helpers/raw.ts'
import { startServer, type Teardown, type TestServer } from '../helpers/server.ts'

/** A promise and the functions that settle it. */
function gate (): { open: () => void, opened: Promise<void> } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { open, opened }
}

/** A raw client after its 101. */
async function openRaw (
  t: Teardown,
  server: TestServer,
  path = '/',
  deflate = false
): Promise<RawClient> {
  const client = await connectRaw(t, server.port)
  return await client
    .write(handshake(path, deflate ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {}))
    .until(({ status, bytes }) => status === 101 && bytes.includes('\r\n\r\n'))
}

/** The texts received so far. */
const textsOf = (client: RawClient): string[] =>
  client
    .frames()
    .filter(({ opcode }) => opcode === 1)
    .map(({ payload }) => payload.toString())

const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i))

void t.test(
  'answers arrive in the order of the messages, also when callbacks take different times',
  async (t) => {
    let running = 0
    let overlapped = false
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          handleIn: (message, _state, ws) => {
            overlapped ||= running++ !== 0
            const done = (): any => {
              running--
              return ws.push(message)
            }
            const turns = (Number(message.data) * 7) % 4
            if (turns === 0) return done()
            return (async () => {
              for (let i = 1; i < turns; i++) await turn()
              return done()
            })()
          }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    for (const i of count(100)) client.send(i)
    for (const i of count(100)) t.equal(await client.next(), i)
    t.notOk(overlapped, 'one callback at a time')
  }
)

void t.test(
  'frames of one read are handled in one tick, without a promise',
  async (t) => {
    const frames = 1000
    let promises = 0
    let seen = 0
    let ticked = false
    const hook = createHook({
      init: (_id, type) => {
        if (type === 'PROMISE') promises++
      }
    })
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => ws.ok(0),
          handleIn: (_message, state, ws) => {
            seen++
            if (seen === 1) {
              hook.enable()
              process.nextTick(() => {
                ticked = true
              })
            }
            if (seen === frames) {
              hook.disable()
              return ws.push(JSON.stringify({ promises, ticked, state }), state + 1)
            }
            return ws.ok(state + 1)
          }
        }
      })
    })
    const client = await openRaw(t, server)
    client.write(Buffer.concat(count(frames).map(text)))
    await client.until(() => textsOf(client).length === 1)
    t.equal(textsOf(client)[0], JSON.stringify({ promises: 0, ticked: false, state: frames - 1 }))
  }
)

void t.test(
  'no frame after the handshake is lost or reordered, also with slow hooks and init',
  async (t) => {
    for (const slow of [
      'nothing',
      'onRequest',
      'preHandler',
      'onSend',
      'init',
      'everything'
    ] as const) {
      const wait = gate()
      const pause = async (part: string): Promise<void> => {
        if (slow === part || slow === 'everything') await wait.opened
      }
      const server = await startServer(t, (app) => {
        app.get('/', {
          onRequest: async () => await pause('onRequest'),
          preHandler: async () => await pause('preHandler'),
          onSend: async () => await pause('onSend'),
          websocketHandler: {
            init:
              slow === 'init' || slow === 'everything'
                ? async (_args, ws) => {
                  await wait.opened
                  return ws.push('init', 'state')
                }
                : (_args, ws) => ws.push('init', 'state'),
            handleIn: (message, state, ws) => ws.push([String(message.data), state])
          }
        })
        app.get('/ping', () => 'pong')
      })
      const client = await connectRaw(t, server.port)
      client.write(Buffer.concat([Buffer.from(handshake('/')), ...count(20).map(text)]))
      for (let i = 20; i < 40; i++) {
        client.write(text(String(i)))
        // The answer shows that the server's event loop has turned.
        await fetch(server.http('/ping'))
      }
      wait.open()
      client.write(text('last'))
      await client.until(() => textsOf(client).length === 83)
      t.same(
        textsOf(client),
        ['init', ...[...count(40), 'last'].flatMap((i) => [i, 'state'])],
        slow
      )
    }
  }
)

void t.test(
  'an info that a connection posts to itself comes after the frames of the same read',
  async (t) => {
    const server = await startServer(t, (app) => {
      for (const when of ['sync', 'before', 'after'] as const) {
        app.get(`/${when}`, {
          websocketOptions: { compress: true },
          websocketHandler: {
            handleIn:
              when === 'sync'
                ? (message, _state, ws) => {
                    ws.post(`info ${String(message.data)}`)
                    return ws.push(message)
                  }
                : async (message, _state, ws) => {
                  if (when === 'after') await turn()
                  ws.post(`info ${String(message.data)}`)
                  if (when === 'before') await turn()
                  return ws.push(message)
                },
            handleInfo: (info, _state, ws) => ws.push(String(info))
          }
        })
      }
    })
    for (const path of ['/sync', '/before', '/after']) {
      for (const deflate of [false, true]) {
        const client = await openRaw(t, server, path, deflate)
        const frames = count(50).map((word) =>
          deflate ? frame(1, deflateMessage(word, 15), { rsv: 4 }) : text(word))
        client.write(Buffer.concat(frames))
        await client.until(() => textsOf(client).length === 100)
        const wanted = [...count(50), ...count(50).map((i) => `info ${i}`)]
        t.same(textsOf(client), wanted, `${path} ${deflate ? 'compressed' : 'plain'}`)
      }
    }
  }
)

void t.test('a connection that posts endless infos to itself does not block others', async (t) => {
  let rounds = 0
  const server = await startServer(t, (app) => {
    app.get('/busy', {
      websocketHandler: {
        init: (_args, ws) => { ws.post('again'); return ws.push('busy') },
        handleInfo: (_info, _state, ws) => { rounds++; ws.post('again') },
        handleIn: (_message, _state, ws) => ws.stop()
      }
    })
    app.get('/', { websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) } })
  })
  const busy = await connect(t, server.url('/busy'))
  t.equal(await busy.next(), 'busy')
  const other = await connect(t, server.url('/'))
  for (const i of count(20)) {
    other.send(i)
    t.equal(await other.next(), i)
  }
  t.ok(rounds > 20)
  busy.send('stop')
  t.same(await busy.closed, { code: 1000, reason: '' }, 'its own frames are handled too')
})

void t.test(
  'an info that two connections pass to each other 10 000 times arrives',
  async (t) => {
    const size = 10_000
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => ws.push(ws.ref.address, { next: '' }),
          handleIn: (message, state, ws) => {
            const next = String(message.data)
            if (next !== 'go') return ws.push('linked', { next })
            ws.post(1)
          },
          handleInfo: (info, state, ws) => {
            const hops = Number(info)
            if (hops === size) return ws.push('done')
            app.websock.ref(state.next).post(hops + 1)
          }
        }
      })
    })
    // Each hop is a separate letter.
    const [one, two] = [await connect(t, server.url('/')), await connect(t, server.url('/'))]
    const [first, second] = [String(await one.next()), String(await two.next())]
    one.send(second)
    two.send(first)
    t.equal(await one.next(), 'linked')
    t.equal(await two.next(), 'linked')
    one.send('go')
    t.equal(await two.next(20_000), 'done')
  }
)

void t.test(
  'messages before the close of a peer are handled, and waiting infos are dropped',
  async (t) => {
    const hold = gate()
    const calls: string[] = []
    let post = (_info: unknown): boolean => true
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            post = ws.post
            ws.postInterval('tick', 1)
          },
          handleIn: async (message, _state, ws) => {
            calls.push(String(message.data))
            ws.post('info')
            await hold.opened
            return ws.push('late')
          },
          handleInfo: (info) => {
            calls.push(String(info))
          },
          handleControl: () => {
            calls.push('control')
          },
          terminate: (reason) => {
            calls.push(`terminate ${reason.type}`)
          }
        }
      })
      app.get('/open', () => {
        hold.open()
        return 'opened'
      })
    })
    const client = await connectRaw(t, server.port, { allowHalfOpen: true })
    client.write(handshake('/'))
    await client.until(({ status }) => status === 101)
    calls.length = 0
    client.write(Buffer.concat([...count(10).map(text), closeFrame(3000, 'bye')]))
    await client.until(() => client.frames().length === 1)
    t.same(
      client.frames(),
      [{ opcode: 8, payload: Buffer.from([3000 >> 8, 3000 & 255, ...Buffer.from('bye')]) }],
      'the close frame is answered while the callback runs'
    )
    t.equal(post('late'), false, 'an info after the close frame is refused')
    for (let i = 0; i < 10; i++) await fetch(server.http('/open'))
    t.same(
      calls.filter((call) => call !== 'tick'),
      [...count(10), 'terminate remote']
    )
    client.socket.end()
    await client.ended
    await fetch(server.http('/open'))
    await server.app.close()
    t.equal(calls.at(-1), 'terminate remote')
  }
)
