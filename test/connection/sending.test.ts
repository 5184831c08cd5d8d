import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketRef as Ref, WebsocketContext } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { closeFrame, connectRaw, handshake, text, words } from '../helpers/raw.ts'
import { startServer } from '../helpers/server.ts'

type Ws = WebsocketContext<string, string, unknown>

/** Waits for a condition, and fails instead of hanging. */
async function until (condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('the condition was not met within 10 s')
    await nextTurn()
  }
}

void t.test('ws.send: from a callback, before its result, and from a timer', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn: async (_message, _state, ws) => {
          const answers = [ws.send('1'), ws.send(['2', '3'])]
          await nextTurn()
          ws.send(answers.join())
          setImmediate(() => ws.send('late'))
          return ws.push('result')
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send('go')
  for (const expected of ['1', '2', '3', 'true,true', 'result', 'late']) {
    t.equal(await client.next(), expected)
  }
})

void t.test('ws.send returns false after the connection has ended', async (t) => {
  let context: Ws | undefined
  const server = await startServer(t, (app) => {
    app.get('/', { websocketHandler: { init: (_args, ws) => { context = ws as never } } })
  })
  const client = await connect(t, server.url('/'))
  await until(() => context !== undefined)
  client.socket.terminate()
  await until(() => context?.signal.aborted === true)
  t.equal(context?.send('x'), false)
  t.equal(await context?.drained(), false)
  t.notOk(context?.close())
})

void t.test('a message that ws.send cannot send closes with 1011 and is logged once', async (t) => {
  const returned: unknown[] = []
  const reasons: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { receive: Type.Any(), send: Type.Object({ n: Type.Integer() }) } },
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          ws.send({ n: 1 })
          returned.push(ws.send([{ n: 2 }, { n: 'no number' as never }]))
          return ws.push({ n: 3 })
        },
        terminate: ({ type }) => { reasons.push(type) }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send({})
  t.same(await client.nextJson(), { n: 1 })
  t.equal((await client.closed).code, 1011)
  t.equal(client.received.length, 1, 'no message of a list is sent when one of them cannot be sent')
  await until(() => reasons.length > 0)
  t.same([returned, reasons], [[false], ['error']])
  t.same(server.logs.map(({ callback }) => callback), ['ws.send'])
})

void t.test('ws.close: earlier messages are sent first, the result is not sent', async (t) => {
  const reasons: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn: ({ data }, _state, ws) => {
          ws.send('bye')
          if (data === 'plain') ws.close()
          else if (data === 'wrong') ws.close(99)
          else ws.close(4001, 'moved')
          return ws.push(`never ${ws.send('never')}`)
        },
        terminate: ({ type }) => { reasons.push(type) }
      }
    })
  })
  for (const [word, code, reason] of [
    ['plain', 1000, ''],
    ['other', 4001, 'moved'],
    ['wrong', 1011, '']
  ] as const) {
    const client = await connect(t, server.url('/'))
    client.send(word)
    t.same(await client.closed, { code, reason })
    t.same(client.received, ['bye'])
  }
  await until(() => reasons.length === 3)
  t.same(reasons, ['normal', 'normal', 'error'])
})

void t.test('with slowPeer: wait, ws.send is bounded', async (t) => {
  let context: Ws | undefined
  const reasons: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { slowPeer: 'wait', maxBufferedBytes: 64 * 1024, maxMailboxLength: 4 },
      websocketHandler: {
        init: (_args, ws) => { context = ws as never; return ws.push('ready') },
        terminate: (reason) => { reasons.push(reason.type === 'error' ? reason.code : reason.type) }
      }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  const ws = context as unknown as Ws
  const message = 'x'.repeat(100_000)
  let sent = 0
  while (ws.send(message) && sent < 1000) {
    sent++
    await nextTurn()
  }
  t.ok(sent < 1000, `${sent} messages were taken`)
  await until(() => reasons.length > 0)
  t.same(reasons, [1013])
})

void t.test('ws.drained resolves when the client has read', async (t) => {
  let context: Ws | undefined
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { maxBufferedBytes: 256 * 1024, slowPeer: 'drop' },
      websocketHandler: { init: (_args, ws) => { context = ws as never; return ws.push('ready') } }
    })
  })
  const client = (await connectRaw(t, server.port)).write(handshake('/'))
  await client.until(() => client.frames().length === 1)
  client.socket.pause()
  const ws = context as unknown as Ws
  t.equal(await ws.drained(), true, 'it resolves at once when nothing is buffered')
  const message = 'x'.repeat(50_000)
  while (ws.send(message)) await nextTurn()
  const drained: boolean[] = []
  void ws.drained().then((value) => drained.push(value))
  for (let turn = 0; turn < 20; turn++) await nextTurn()
  t.same(drained, [])
  client.socket.resume()
  await until(() => drained.length > 0)
  t.same(drained, [true])
  t.ok(ws.bufferedBytes <= 128 * 1024)
})

void t.test('ws.broadcast and ws.publish reach all other connections', async (t) => {
  const server = await startServer(t, (app) => {
    app.decorate('greeting', 'hello')
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('room')
          return ws.push('ready')
        },
        handleIn: (_message, _state, ws) => {
          ws.broadcast('room', (ws.server as unknown as { greeting: string }).greeting)
          ws.publish('room', 'an info')
          ws.server.websock.broadcast('room', 'all')
        },
        handleInfo: (info, _state, ws) => ws.push(String(info))
      }
    })
  })
  const [one, other] = [await connect(t, server.url('/')), await connect(t, server.url('/'))]
  await Promise.all([one.next(), other.next()])
  one.send('go')
  t.same([await other.next(), await other.next(), await other.next()], ['hello', 'all', 'an info'])
  t.equal(await one.next(), 'all')
})

void t.test('ref.close ends a connection after the call has returned', async (t) => {
  const refs: Ref[] = []
  const events: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => { refs.push(ws.ref); return ws.push('ready') },
        terminate: ({ type }) => { events.push(type) }
      }
    })
    app.post('/kick', () => {
      const known = refs[0]?.close(4003, 'kicked')
      events.push('called')
      return { known }
    })
  })
  const client = await connect(t, server.url('/'))
  await client.next()
  t.same((await server.app.inject({ method: 'POST', url: '/kick' })).json(), { known: true })
  t.same(await client.closed, { code: 4003, reason: 'kicked' })
  await until(() => events.length === 2)
  t.same(events, ['called', 'normal'])
  await until(() => [...server.app.websock.connections].length === 0)
  await until(() => refs[0]?.close() === false)
  t.throws(() => refs[0]?.close(1005), { code: 'FST_WEBSOCK_UNSENDABLE' })
})

void t.test('lost results and unhandled infos are logged once for each route', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/forgotten', {
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          ws.push('lost')
          ws.send('sent')
        }
      }
    })
    app.get('/twice', {
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          ws.push('lost')
          return ws.push('sent')
        }
      }
    })
    app.get('/async', {
      websocketHandler: {
        handleIn: async (_message, _state, ws) => {
          await nextTurn()
          ws.stop()
          ws.send('sent')
        }
      }
    })
    app.get('/timer', {
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          setImmediate(() => {
            ws.push('lost')
            ws.send('sent')
          })
        }
      }
    })
    app.get('/info', {
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          ws.post('lost')
          return ws.push('sent')
        }
      }
    })
    app.get('/right', {
      websocketHandler: {
        handleIn: (_message, _state, ws) => {
          const result = ws.push('sent')
          return result
        }
      }
    })
  })
  for (const path of ['/forgotten', '/twice', '/async', '/timer', '/info', '/right']) {
    const client = await connect(t, server.url(path))
    for (let n = 0; n < 3; n++) {
      client.send('go')
      t.equal(await client.next(), 'sent')
    }
    await nextTurn()
    await nextTurn()
    const warnings = server.logs.splice(0)
      .map(({ level, msg, route }) => [level, route, msg.slice(0, 12)])
    const expected =
      path === '/right' ? [] : [[40, path, path === '/info' ? 'an info was ' : 'ws.push() or']]
    t.same(warnings, expected, path)
  }
})

void t.test('missing methods of ws throw an error that names the alternative', async (t) => {
  const texts: string[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => {
          const otherMethods = ws as unknown as Record<string, (...args: unknown[]) => void>
          for (const name of [
            'on', 'once', 'addEventListener', 'emit', 'terminate', 'destroy', 'disconnect', 'ping',
            'pong'
          ]) {
            try {
              otherMethods[name]?.('message', () => {})
              texts.push(`${name} does not throw`)
            } catch (error) {
              texts.push(`${(error as { code: string }).code} ${(error as Error).message}`)
            }
          }
          return ws.push('ready')
        }
      }
    })
  })
  await (await connect(t, server.url('/'))).next()
  t.equal(texts.length, 9)
  for (const text of texts) {
    t.match(
      text,
      new RegExp('^FST_WEBSOCK_NO_SUCH_METHOD `ws` of a callback has no \\w+\\(\\): ' +
        '.*(declare|call|sends p[io]ngs itself)')
    )
  }
})

void t.test('ws.send reaches the client after a FIN, but not after a close frame', async (t) => {
  const answers: boolean[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => ws.push('ready'),
        handleIn: async (_message, _state, ws) => {
          while (!ws.signal.aborted) await nextTurn()
          answers.push(ws.send('answer'))
        }
      }
    })
  })
  const open = await connectRaw(t, server.port)
  open.write(handshake('/')).write(text('go')).socket.end()
  await open.ended
  t.same(words(open).slice(0, 2), ['1 ready', '1 answer'])
  const closing = (await connectRaw(t, server.port)).write(handshake('/'))
    .write(Buffer.concat([text('go'), closeFrame(1000)]))
  await closing.ended
  t.same(words(closing), ['1 ready', '8 1000'])
  await until(() => answers.length === 2)
  t.same(answers, [true, false])
})
