import t from 'tap'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { setInterval } from 'node:timers/promises'
import { Type } from '@fastify/type-provider-typebox'
import type { WebsocketRef, WebsocketTimer } from '../../src/index.ts'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

void t.test('a timer\'s info arrives once, an interval\'s until it is cancelled', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      schema: { websocket: { info: Type.String(), send: Type.String() } },
      websocketHandler: {
        init: (_args, ws) => {
          ws.postAfter('after', 5)
          return ws.ok({ ticks: 0, timer: ws.postInterval('tick', 10) })
        },
        handleInfo: (info, state, ws) => {
          if (info !== 'tick') return ws.push(info)
          if (++state.ticks < 3) return ws.push(`tick ${state.ticks}`)
          state.timer.cancel()
          state.timer.cancel()
          // Later than the interval would fire.
          ws.postAfter('end', 40)
          return ws.push('tick 3')
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  for (const wanted of ['after', 'tick 1', 'tick 2', 'tick 3', 'end']) {
    t.equal(await client.nextJson(), wanted)
  }
})

void t.test(
  'a timer may be cancelled before it is due, after it has fired, and twice',
  async (t) => {
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            const timers = [
              ws.postAfter('cancelled', 0),
              ws.postAfter('cancelled', 10),
              ws.postInterval('cancelled', 1)
            ]
            for (const timer of [...timers, ...timers]) timer.cancel()
            return ws.ok(ws.postAfter('over', 15))
          },
          handleInfo: (info, timer: WebsocketTimer, ws) => {
            timer.cancel()
            if (info === 'over') ws.postAfter('end', 15)
            return ws.push(String(info))
          }
        }
      })
    })
    const client = await connect(t, server.url('/'))
    t.equal(await client.next(), 'over')
    t.equal(await client.next(), 'end')
  }
)

void t.test('an interval has at most one waiting tick, also with a slow handler', async (t) => {
  const events = new EventEmitter()
  const started = once(events, 'started')
  const handled: unknown[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketOptions: { maxMailboxLength: 8 },
      websocketHandler: {
        init: (_args, ws) => {
          ws.postInterval('one', 1)
          ws.postInterval('two', 1)
          return ws.push(ws.ref.address)
        },
        async handleInfo (info, _state, ws) {
          if (info === 'last') return ws.stop('normal', 4000)
          handled.push(info)
          if (handled.length > 1) return
          events.emit('started')
          await once(events, 'release')
        }
      }
    })
  })
  const client = await connect(t, server.url('/'))
  const ref = server.app.websock.ref(String(await client.next()))
  await started
  // 50 ticks of 1 ms, so that the intervals of the route have fired too.
  for await (const ticks of countTicks()) if (ticks === 50) break
  ref.post('last')
  events.emit('release')
  t.match(await client.closed, { code: 4000 })
  t.same(
    handled.sort(),
    ['one', 'one', 'two'],
    'one tick was handled first, and one of each interval waited'
  )
})

void t.test('an invalid delay is refused, and the error names it', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        handleIn: (message, _state, ws) => {
          const [name, ms] = String(message.data).split(' ')
          const timer = ws[name as 'postAfter']('never', Number(ms))
          timer.cancel()
          return ws.push('fine')
        },
        handleInvalid: () => {},
        terminate: (reason) => {
          if (reason.type === 'error') errors.push(reason.error as Error & { code: string })
        }
      }
    })
  })
  const errors: Array<Error & { code: string }> = []
  const bad = [
    'postAfter -1',
    'postAfter NaN',
    'postAfter 2147483648',
    'postAfter Infinity',
    'postInterval 0',
    'postInterval 0.5',
    'postInterval -1',
    'postInterval NaN',
    'postInterval 2147483648'
  ]
  for (const call of bad) {
    errors.length = 0
    const client = await connect(t, server.url('/'))
    client.send(call)
    t.equal((await client.closed).code, 1011, call)
    t.equal(errors[0]?.code, 'FST_WEBSOCK_INVALID_DELAY', call)
    t.ok(errors[0] instanceof RangeError)
    t.equal(
      errors[0]?.message,
      'The delay of a timer must be a number of milliseconds from ' +
      `${call.startsWith('postAfter') ? 0 : 1} to 2147483647, got ${call.split(' ')[1] ?? ''}`
    )
  }
  const client = await connect(t, server.url('/'))
  for (const call of [
    'postAfter 0',
    'postAfter 0.5',
    'postAfter 2147483647',
    'postInterval 1',
    'postInterval 2147483647'
  ]) {
    client.send(call)
    t.equal(await client.next(), 'fine', call)
  }
})

void t.test('timers end with the connection, and no timer starts after it', async (t) => {
  const calls: unknown[] = []
  let late: WebsocketTimer | undefined
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => { ws.postInterval('tick', 1); ws.postAfter('after', 30) },
        handleInfo: (info) => { calls.push(info) },
        handleIn: (_message, _state, ws) => ws.stop(),
        terminate: (_reason, _state, ws) => {
          calls.length = 0
          late = ws.postInterval('late', 1)
          calls.push(ws.post('late'), ws.ref.post('late'))
        }
      }
    })
    app.get('/clock', {
      websocketHandler: {
        init: (_args, ws) => {
          ws.postAfter('now', 60)
        },
        handleInfo: (_info, _state, ws) => ws.push('now')
      }
    })
  })
  const client = await connect(t, server.url('/'))
  client.send('stop')
  t.equal((await client.closed).code, 1000)
  const clock = await connect(t, server.url('/clock'))
  t.equal(await clock.next(), 'now')
  t.same(calls, [false, false])
  late?.cancel()
})

void t.test('no timer keeps the process alive', async (t) => {
  const script = join(__dirname, '../fixtures/timers-only.ts')
  const child = spawn(process.execPath, [...process.execArgv, script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000
  })
  t.teardown(() => child.kill())
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const [code, signal] = await once(child, 'close') as [number | null, string | null]
  t.same({ output, code, signal }, { output: 'the timers run\n', code: 0, signal: null })
})

void t.test('a ref reaches its connection from anywhere, until its end', async (t) => {
  const refs: WebsocketRef[] = []
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => {
          refs.push(ws.ref)
          return ws.push(ws.ref.address)
        },
        handleIn: (message, _state, ws) =>
          ws.push(String(app.websock.ref(String(message.data)).post(`from ${ws.id}`))),
        handleInfo: (info, _state, ws) => ws.push(String(info))
      }
    })
  })
  const [one, two] = [await connect(t, server.url('/')), await connect(t, server.url('/'))]
  const [first, second] = [String(await one.next()), String(await two.next())]
  t.not(first, second)
  one.send(second)
  t.equal(await one.next(), 'true')
  t.equal(await two.next(), `from ${first}`)
  const post = refs[0]?.post
  t.equal(post?.('from outside'), true, '`post` works without its ref object')
  t.equal(await one.next(), 'from outside')
  t.equal(JSON.stringify({ ref: refs[0] }), JSON.stringify({ ref: first }))
  t.equal(
    server.app.websock.ref(JSON.parse(JSON.stringify(refs[0])) as string).post('restored'),
    true
  )
  t.equal(await one.next(), 'restored')
  one.close()
  await one.closed
  two.send(first)
  t.equal(await two.next(), 'false', 'a ref of an ended connection returns false')
  t.equal(refs[0]?.post('late'), false)
  for (const address of ['', 'nobody', `${second}x`, '__proto__', 'constructor']) {
    t.equal(server.app.websock.ref(address).post('x'), false, address)
  }
  for (const address of [undefined, null, 5, {}, Object.create(null), refs[1]]) {
    t.throws(() => server.app.websock.ref(address as never), {
      code: 'FST_WEBSOCK_INVALID_ADDRESS'
    })
  }
})

void t.test('every connection of every server has a unique id', async (t) => {
  const ids: string[] = []
  for (let i = 0; i < 2; i++) {
    const server = await startServer(t, (app) => {
      app.get('/', {
        websocketHandler: {
          init: (_args, ws) => {
            t.equal(ws.id, ws.ref.address)
            return ws.push(ws.id)
          }
        }
      })
    })
    for (let j = 0; j < 40; j++) ids.push(String(await (await connect(t, server.url('/'))).next()))
  }
  t.equal(new Set(ids).size, 80)
  t.equal(new Set(ids.map((id) => id.split('.')[0])).size, 2, 'each server has its own prefix')
})

void t.test('infos of one sender arrive in order, between frames', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/', {
      websocketHandler: {
        init: (_args, ws) => ws.push(ws.ref.address),
        handleIn: async (message, _state, ws) => {
          await Promise.resolve()
          return ws.push(message)
        },
        handleInfo: (info, _state, ws) => ws.push(`info ${String(info)}`)
      }
    })
  })
  const client = await connect(t, server.url('/'))
  const ref = server.app.websock.ref<number>(String(await client.next()))
  for (let i = 0; i < 50; i++) {
    t.ok(ref.post(i))
    client.send(`frame ${i}`)
  }
  const got: string[] = []
  while (got.length < 100) got.push(String(await client.next()))
  for (const kind of ['info', 'frame']) {
    t.same(
      got.filter((line) => line.startsWith(kind)),
      Array.from({ length: 50 }, (_, i) => `${kind} ${i}`)
    )
  }
})

async function * countTicks (): AsyncGenerator<number> {
  let ticks = 0
  for await (const one of setInterval(1, 1)) yield ticks += one
}
