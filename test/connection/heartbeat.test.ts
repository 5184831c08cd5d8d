import { createHook } from 'node:async_hooks'
import { once } from 'node:events'
import { setImmediate as turn, setTimeout as work } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import {
  checkConnections,
  heartbeatPeriodMs,
  Liveness,
  type Monitored,
  type HeartbeatLimits
} from '../../src/connection/heartbeat.ts'
import { connect } from '../helpers/client.ts'
import { startEndings } from '../helpers/endings.ts'
import { frame, text } from '../helpers/raw.ts'
import { later, wire } from '../helpers/scripted-callbacks.ts'

const LIMITS = { heartbeatIntervalMs: 30_000, heartbeatTimeoutMs: 20_000, idleTimeoutMs: 0 }

/** Simulates a peer, and a heartbeat whose clock the test advances second by second. */
function watch (limits: Partial<HeartbeatLimits> = {}) {
  const actions: string[] = []
  let now = 1_000_000
  const peer = {
    limits: { ...LIMITS, ...limits },
    liveness: new Liveness(),
    options: { socket: { bytesRead: 0 as number | undefined, bytesWritten: 0, writableLength: 0 } },
    messagesRead: 0,
    readingHeld: false as boolean,
    busy: false as boolean,
    ending: false as boolean,
    ping: () => { actions.push(`ping at ${at()}`) },
    timeOut: (kind: string) => { actions.push(`${kind} at ${at()}`) }
  } satisfies Monitored
  const start = now
  const at = (): number => (now - start) / 1000
  checkConnections(now, now, [peer])
  return {
    peer,
    actions,
    /**
     * Runs the heartbeat once a second. `each` acts for the peer before each run. Stops when the
     * peer has timed out.
     */
    pass (seconds: number, each: () => void = () => {}): void {
      for (let n = 0; n < seconds && !/dead|idle/.test(actions.at(-1) ?? ''); n++) {
        now += 1000
        each()
        checkConnections(now, now, [peer])
      }
    },
    /**
     * The event loop stalls. Then `bytes` are read, and one late run of the heartbeat follows.
     */
    stall (seconds: number, bytes: number): void {
      now += seconds * 1000
      peer.options.socket.bytesRead = (peer.options.socket.bytesRead ?? 0) + bytes
      checkConnections(now, now, [peer])
    },
    /** The received bytes are read. Then the event loop stalls, and the heartbeat runs late. */
    stallAfterReading (seconds: number): void {
      const readAt = now
      now += seconds * 1000
      checkConnections(readAt, now, [peer])
    }
  }
}

void t.test(
  'a silent peer is pinged once after the interval, and dead after the timeout',
  async (t) => {
    const { actions, pass } = watch()
    pass(29)
    t.same(actions, [])
    pass(100)
    t.same(actions, ['ping at 30', 'dead at 50'])
  }
)

void t.test('any byte counts as life, before a ping and instead of a pong', async (t) => {
  const { peer, actions, pass } = watch()
  const receiveByte = (): void => {
    peer.options.socket.bytesRead = (peer.options.socket.bytesRead ?? 0) + 1
  }
  pass(29)
  receiveByte()
  pass(30)
  t.same(actions, [])
  pass(1)
  t.same(actions, ['ping at 60'], 'the interval starts again at the byte')
  pass(19)
  receiveByte()
  pass(30)
  t.same(actions, ['ping at 60'])
  pass(1)
  pass(20)
  t.same(actions, ['ping at 60', 'ping at 110', 'dead at 130'])
})

void t.test(
  'after a stall of 60 s no peer is dead that answered during the stall or had no ping before',
  async (t) => {
    const pinged = watch()
    pinged.pass(30)
    pinged.stall(60, 6)
    t.same(pinged.actions, ['ping at 30'], 'the pong came during the stall')
    pinged.pass(29)
    t.same(pinged.actions, ['ping at 30'], 'the interval starts again after the stall')

    const notPinged = watch()
    notPinged.pass(29)
    notPinged.stall(60, 0)
    t.same(notPinged.actions, ['ping at 89'], 'a ping is sent first')
    notPinged.pass(19)
    t.same(notPinged.actions, ['ping at 89'], 'the peer has the whole timeout to answer')
    notPinged.pass(1)
    t.same(notPinged.actions, ['ping at 89', 'dead at 109'])
  }
)

void t.test('a stall between the read and the heartbeat does not count as silence', async (t) => {
  const pinged = watch()
  pinged.pass(30)
  pinged.stallAfterReading(60)
  t.same(pinged.actions, ['ping at 30'], 'a pong may have arrived that is not read yet')
  pinged.pass(1)
  t.same(pinged.actions, ['ping at 30', 'dead at 91'], 'all was read, without a pong')

  const notPinged = watch()
  notPinged.pass(29)
  notPinged.stallAfterReading(60)
  t.same(notPinged.actions, [], 'the heartbeat has seen only 29 s of silence')
  notPinged.pass(1)
  notPinged.pass(19)
  t.same(notPinged.actions, ['ping at 90'], 'the timeout starts at the ping')
  notPinged.pass(1)
  t.same(notPinged.actions, ['ping at 90', 'dead at 110'])

  const idle = watch({ idleTimeoutMs: 40_000 })
  idle.pass(39, () => {
    idle.peer.options.socket.bytesRead = (idle.peer.options.socket.bytesRead ?? 0) + 1
  })
  idle.stallAfterReading(60)
  t.same(idle.actions, [])
})

void t.test('an event loop that stalls repeatedly ends no peer that answers', async (t) => {
  const endings = await startEndings(t, {}, { heartbeatIntervalMs: 100, heartbeatTimeoutMs: 1500 })
  // The client runs in a separate thread, which continues while this one stalls. ws answers pings
  // automatically.
  const startPeer = (): Worker => new Worker(
    `
    const { parentPort, workerData } = require('node:worker_threads')
    const { WebSocket } = require(workerData.ws)
    const socket = new WebSocket(workerData.url)
    let [last, pausedMs] = [Infinity, 0]
    const look = () => {
      pausedMs = Math.max(pausedMs, performance.now() - last)
      last = performance.now()
    }
    setInterval(look, 10)
    for (const event of ['open', 'close', 'error', 'pong']) {
      socket.on(event, (what) => {
        look()
        parentPort.postMessage([event, String(what), pausedMs])
      })
    }
    parentPort.on('message', () => socket.ping('are you there'))
  `,
    { eval: true, workerData: { url: endings.url('/'), ws: require.resolve('ws') } }
  )
  for (let tries = 1; ; tries++) {
    const peer = startPeer()
    t.teardown(() => peer.terminate())
    t.same((await once(peer, 'message'))[0][0], 'open')
    for (let stall = 0; stall < 2; stall++) {
      const until = performance.now() + 1600
      while (performance.now() < until);
      await turn()
    }
    peer.postMessage('ask')
    const [event, data, pausedMs] = (await once(peer, 'message'))[0] as [string, string, number]
    // A peer whose thread was paused has not answered.
    if (event !== 'pong' && pausedMs > 1000 && tries < 3) continue
    t.same([event, data], ['pong', 'are you there'], 'the peer is connected, and got nothing else')
    t.ok(endings.ends.length < tries, 'only a peer of an earlier try may have ended')
    break
  }
})

void t.test('no peer times out while the server does not read from it', async (t) => {
  const { peer, actions, pass } = watch()
  pass(35)
  t.same(actions, ['ping at 30'])
  peer.readingHeld = true
  pass(300)
  t.ok(
    actions.length >= 9 && actions.every((what) => what.startsWith('ping')),
    'pings are sent, so that TCP can report a client that is gone'
  )
  peer.readingHeld = false
  const pings = actions.length
  pass(19)
  t.notOk(
    actions.some((what) => what.startsWith('dead')),
    'silence during the pause does not count'
  )
  pass(40)
  t.match(actions.at(-1), /^dead at 3[5-9]\d$/)
  t.ok(actions.length - pings <= 2)

  const idle = watch({ heartbeatIntervalMs: 0, idleTimeoutMs: 30_000 })
  idle.pass(20)
  idle.peer.readingHeld = true
  idle.pass(300)
  idle.peer.readingHeld = false
  idle.pass(29)
  t.same(idle.actions, [])
  idle.pass(1)
  t.same(idle.actions, ['idle at 350'])
})

void t.test('a client that disconnects is noticed while the server does not read', async (t) => {
  const endings = await startEndings(
    t,
    { init: (ws) => ws.pause() },
    { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 60_000 }
  )
  const raw = await endings.open(t)
  raw.write(text('never read'))
  raw.socket.destroy()
  await endings.until('ends')
  t.match(endings.ends, [{ reason: { type: 'remote', code: 1006 } }])
})

void t.test('only data messages keep a peer from being idle', async (t) => {
  const { peer, actions, pass } = watch({ idleTimeoutMs: 60_000 })
  const pong = (): void => {
    peer.options.socket.bytesRead = (peer.options.socket.bytesRead ?? 0) + 2
  }
  pass(59, pong)
  peer.messagesRead++
  pass(60, pong)
  t.same(actions, [])
  pass(1, pong)
  t.same(actions, ['idle at 120'])
})

void t.test('0 turns off heartbeatIntervalMs, heartbeatTimeoutMs and idleTimeoutMs', async (t) => {
  const { actions, pass } = watch({ heartbeatIntervalMs: 0 })
  pass(10_000)
  t.same(actions, [], 'no ping, not dead, not idle')
  const patient = watch({ heartbeatTimeoutMs: 0 })
  patient.pass(10_000)
  t.same(patient.actions, ['ping at 30'], 'a ping, but not dead')
  t.equal(
    heartbeatPeriodMs({ heartbeatIntervalMs: 0, heartbeatTimeoutMs: 0, idleTimeoutMs: 0 }),
    Infinity
  )
})

void t.test('a peer whose socket has no byte count is neither pinged nor dead', async (t) => {
  const { peer, actions, pass } = watch({ idleTimeoutMs: 500_000 })
  peer.options.socket.bytesRead = undefined
  pass(1000)
  t.same(actions, ['idle at 500'], 'the connection counts its messages, so it can be idle')
})

void t.test('a silent client gets a ping, and is destroyed without a close frame', async (t) => {
  const endings = await startEndings(t, {}, { heartbeatIntervalMs: 60, heartbeatTimeoutMs: 60 })
  // From before the connection: a pause of this process may delay everything after it.
  const from = performance.now()
  const raw = await endings.open(t)
  await raw.ended
  t.ok(performance.now() - from >= 80, 'not before interval and timeout are over')
  t.same(wire(raw), ['ping '])
  t.same(endings.ends.map(({ reason }) => reason), [{ type: 'timeout' }])
  t.same(endings.calls, ['init'])
})

void t.test(
  'clients that answer, send parts of a message or pings, or are paused, stay connected',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        handleIn (data, ws) {
          if (data === 'pause') ws.postAfter('paused', 1700)
          if (data === 'pause') ws.pause()
          if (data.startsWith('whole')) return ws.push(`${data.length}` as never)
        },
        handleInfo (info, ws) {
          ws.resume()
          return ws.push(`${String(info)} till now` as never)
        }
      },
      { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 1500 }
    )
    const answering = await connect(t, endings.url('/'))
    const [paused, fragments, pinging, silent] = [
      await endings.open(t),
      await endings.open(t),
      await endings.open(t),
      await endings.open(t)
    ]
    // One frame of 65 000 bytes, byte by byte, so that no frame is ever complete.
    const big = frame(1, 'whole'.padEnd(65_000, '.'))
    let sent = 5000
    fragments.write(big.subarray(0, sent))
    const interval = setInterval(() => {
      fragments.write(big.subarray(sent, ++sent))
      pinging.write(frame(10))
    }, 10)
    t.teardown(() => clearInterval(interval))
    paused.write(text('pause'))
    await paused.until(() => wire(paused).some((line) => line === 'text paused till now'))
    await silent.ended
    t.equal(endings.ends.length <= 2, true, 'only the silent and the paused one')
    clearInterval(interval)
    fragments.write(big.subarray(sent))
    await fragments.until(() => wire(fragments).includes('text 65000'))
    t.equal(wire(fragments).at(-1), 'text 65000', 'bytes of a frame count as life')
    pinging.write(text('whole'))
    await pinging.until(() => wire(pinging).includes('text 5'))
    answering.send('whole')
    t.equal(await answering.next(), '5', 'ws answers pings, so this client stays connected')
  }
)

void t.test(
  'a client stays connected while a callback runs for its message, also when reading is paused',
  async (t) => {
    const endings = await startEndings(
      t,
      {
        async handleIn (data, ws) {
          if (data === 'question') await work(600)
          return ws.push(data as never)
        }
      },
      { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 100, idleTimeoutMs: 200, maxMailboxLength: 4 }
    )
    const client = await connect(t, endings.url('/'))
    client.send('question')
    for (let n = 0; n < 10; n++) client.send(`${n}`)
    for (const expected of ['question', ...'0123456789']) t.equal(await client.next(), expected)
  }
)

void t.test('an idle client is closed with 1000', async (t) => {
  const endings = await startEndings(
    t,
    {},
    { heartbeatIntervalMs: 20, heartbeatTimeoutMs: 60_000, idleTimeoutMs: 150 }
  )
  const from = performance.now()
  const client = await connect(t, endings.url('/'))
  t.equal((await client.closed).code, 1000)
  t.ok(performance.now() - from >= 130)
  t.same(endings.ends.map(({ reason }) => reason), [{ type: 'timeout' }], 'pongs are not messages')
})

void t.test('an open connection has no timer', async (t) => {
  // Not process.getActiveResourcesInfo(), which leaves out timers that do not keep the process
  // alive.
  const timers = new Set<number>()
  // Only timers of the server, because the clients' waits have timers too.
  const isServer = (stack = ''): boolean =>
    /[\\/](src[\\/](plugin|connection)|node_modules[\\/](ws|fastify))[\\/]/.test(stack)
  let started = 0
  const hook = createHook({
    init (id, type) {
      if (type !== 'Timeout' || !isServer(new Error().stack)) return
      started++
      timers.add(id)
    },
    destroy: (id) => { timers.delete(id) }
  }).enable()
  t.teardown(() => hook.disable())
  // A timer that is cleared at once, to prove that the hook sees timers.
  const endings = await startEndings(
    t,
    {
      init: (ws) => {
        ws.postAfter('never', 60_000).cancel()
      }
    },
    { idleTimeoutMs: 60_000 }
  )
  const clients = await Promise.all(Array.from({ length: 200 }, () => endings.open(t)))
  t.equal(endings.calls.length, 200)
  for (const client of clients) client.write(text('x'))
  await endings.until('calls', 400)
  // The hook reports the end of a timer a little later.
  for (let turn = 0; turn < 5; turn++) await later(() => {})
  t.ok(started >= 200, 'each `init` started one')
  t.ok(timers.size < 20, `${timers.size} timers with 200 connections`)
})
