import { createClient } from 'redis'
import t from 'tap'
import type { Engine, EngineListener } from '../../src/index.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { addressOf, ready, startNode, until, watch } from '../helpers/cluster.ts'
import { measurePauses } from '../helpers/pauses.ts'
import { startProxy } from '../helpers/proxy.ts'
import { buildApp, type Teardown } from '../helpers/server.ts'
import websock from '../../src/index.ts'

/** An engine whose broker refuses each topic for which `refuses` returns true. */
function createRefusing (network: MemoryNetwork, refuses: (topic: string) => boolean): Engine {
  const engine = network.createEngine()
  return {
    name: engine.name,
    maxPayloadBytes: engine.maxPayloadBytes,
    start: (listener) => engine.start(listener),
    subscribe: async (topic) => {
      if (refuses(topic)) throw new Error('refused')
      await engine.subscribe(topic)
    },
    unsubscribe: (topic) => engine.unsubscribe(topic),
    publish: (topic, payload) => engine.publish(topic, payload),
    stop: () => engine.stop()
  }
}

void t.test(
  '1 000 refused topics are logged once and are not ready, and their subscriber gets one gap',
  async (t) => {
    let refuses = true
    const node = await startNode(
      t,
      createRefusing(new MemoryNetwork(), (topic) => refuses && topic.startsWith('t:room'))
    )
    const gaps: number[] = []
    const listener = {
      handleGap: ({ ms }: { ms: number }) => {
        gaps.push(ms)
      }
    }
    const began = performance.now()
    for (let n = 0; n < 1_000; n++) node.app.websock.subscribe(`room ${n}`, listener)
    const other: number[] = []
    node.app.websock.subscribe('other', { handleGap: ({ ms }) => { other.push(ms) } })
    await until(() => node.logs.some(({ msg }) => /cannot be subscribed/.test(msg)), 'a line')
    await node.app.websock.subscriptionReady('other')
    t.notOk(node.app.websock.ready())
    refuses = false
    await ready(node)
    await until(() => gaps.length > 0, 'a gap')
    const gapAt = performance.now()
    await new Promise((resolve) => setImmediate(resolve))
    t.equal(gaps.length, 1)
    t.ok((gaps[0] as number) >= 0 && (gaps[0] as number) <= gapAt - began + 1)
    t.same(other, [], 'a subscriber that missed nothing gets no gap')
    t.equal(node.logs.filter(({ msg }) => /cannot be subscribed/.test(msg)).length, 1)
    const again = node.logs.filter(({ msg }) => msg === 'all topics are subscribed again')
    t.equal(again.length, 1)
    // More when the process pauses until the topics are tried again.
    t.ok(again[0]?.['refusals'] as number >= 1_000)
  }
)

void t.test(
  'a subscriber with a refused topic gets a gap when all its topics are subscribed',
  async (t) => {
    let refuses = false
    const network = new MemoryNetwork()
    const node = await startNode(
      t,
      createRefusing(network, (topic) => refuses && topic === 't:refused')
    )
    const [gaps, gapsOfLeaver]: [number[], number[]] = [[], []]
    const listener = {
      handleGap: ({ ms }: { ms: number }) => {
        gaps.push(ms)
      }
    }
    const leaver = {
      handleGap: ({ ms }: { ms: number }) => {
        gapsOfLeaver.push(ms)
      }
    }
    for (const topic of ['refused', 'other']) {
      for (const each of [listener, leaver]) node.app.websock.subscribe(topic, each)
    }
    await ready(node)
    refuses = true
    network.goDown()
    network.goUp()
    await node.app.websock.subscriptionReady('other')
    t.same([gaps, gapsOfLeaver], [[], []])
    node.app.websock.unsubscribe('refused', leaver)
    await until(() => gapsOfLeaver.length === 1, 'a gap for the listener that unsubscribed')
    t.same(gaps, [])
    refuses = false
    await until(() => gaps.length === 1, 'a gap for the other listener')
    t.equal(gapsOfLeaver.length, 1)
  }
)

void t.test(
  'subscriptionReady is true when the broker has the topic, false when it ends before',
  async (t) => {
    let refuses = true
    const node = await startNode(
      t,
      createRefusing(new MemoryNetwork(), (topic) => refuses && topic.startsWith('t:')),
      (app) => {
        app.get('/waits', {
          websocketHandler: {
            init: async (_args, ws) => {
              const before = await ws.subscriptionReady('waited for')
              ws.subscribe('waited for')
              const waiting = ws.subscriptionReady('waited for')
              ws.unsubscribe('waited for')
              return ws.push(`${before} ${await waiting}`)
            }
          }
        })
      }
    )
    const { websock } = node.app
    t.equal(await websock.subscriptionReady('nobody'), false)
    await t.rejects(websock.subscriptionReady(''), { code: 'FST_WEBSOCK_INVALID_TOPIC' })
    const client = await connect(t, node.url('/waits'))
    t.equal(await client.next(), 'false false')
    const [one, two] = [{}, {}]
    websock.subscribe('one', one)
    websock.subscribe('two', two)
    const [waitingForOne, waitingForTwo] = [
      websock.subscriptionReady('one'),
      websock.subscriptionReady('two')
    ]
    websock.unsubscribe('two', two)
    t.equal(await waitingForTwo, false)
    refuses = false
    t.equal(await waitingForOne, true)
    const alone = await startNode(t, undefined)
    alone.app.websock.subscribe('one', one)
    t.equal(await alone.app.websock.subscriptionReady('one'), true)
  }
)

void t.test('an engine object that is given to a second app is refused at start', async (t) => {
  const engine = new MemoryNetwork().createEngine()
  await startNode(t, engine)
  const { app } = buildApp(t)
  await t.rejects(async () => {
    await app.register(websock, { engine })
  }, { code: 'FST_WEBSOCK_ENGINE_IN_USE' })
})

void t.test(
  'publications that the broker refuses are counted, logged once, and not ready',
  async (t) => {
    let refuses = true
    const engine = createRefusing(new MemoryNetwork(), () => false)
    const { publish } = engine
    engine.publish = async (topic, payload) => {
      if (refuses) throw new Error('refused')
      await publish(topic, payload)
    }
    const node = await startNode(t, engine)
    await until(() => node.logs.some(({ msg }) => msg === 'the engine is connected'), 'up')
    for (let n = 0; n < 100; n++) node.app.websock.publish('r', n)
    await until(
      () => node.app.websock.lostPublications === 100 && !node.app.websock.ready(),
      'lost, and not ready'
    )
    t.equal(node.logs.filter(({ msg }) => /refuses publications/.test(msg)).length, 1)
    refuses = false
    await ready(node)
  }
)

void t.test(
  'over Redis, a silent connection is noticed within 10 s, and causes a gap',
  { skip: skipWithout('redis-server') },
  async (t) => {
    const broker = await startRedis(t)
    const proxy = await startProxy(t, broker.port)
    const create = async (t: Teardown, port: number): Promise<Engine> => {
      const client = await createClient({ socket: { host: '127.0.0.1', port } })
        .on('error', () => {})
        .connect()
      t.teardown(() => client.destroy())
      return redisEngine(client as never)
    }
    const [cut, other] = [
      await startNode(t, await create(t, proxy.port)),
      await startNode(t, await create(t, broker.port))
    ]
    const client = await cut.join('r')
    const gaps: number[] = []
    cut.app.websock.subscribe('r', { handleGap: ({ ms }) => { gaps.push(ms) } })
    await ready(cut, other)
    proxy.isMute = true
    const silentAt = performance.now()
    const pausedMs = measurePauses(t)
    other.app.websock.publish('r', 'missed')
    cut.app.websock.publish('r', 'perhaps lost')
    t.equal(await client.next(), 'info perhaps lost')
    await until(() => !cut.app.websock.ready(), 'not ready')
    t.ok(performance.now() - silentAt < 10_000 + pausedMs())
    t.equal(cut.app.websock.lostPublications, 1)
    t.same(gaps, [], 'no gap before the end of the silence')
    proxy.isMute = false
    proxy.cut()
    await ready(cut)
    t.equal(await client.next(), 'gap')
    t.equal(gaps.length, 1)
    t.ok((gaps[0] as number) >= 5_000, `${gaps[0]} ms`)
    other.app.websock.publish('r', 'again')
    t.equal(await client.next(), 'info again')
    t.ok(other.app.websock.ready())
  }
)

void t.test('without the broker a node works alone, and its return is a gap', async (t) => {
  const network = new MemoryNetwork()
  const [one, two] = [
    await startNode(t, network.createEngine()),
    await startNode(t, network.createEngine())
  ]
  const [a, b] = [await one.join('r'), await two.join('r')]
  const gaps: number[] = []
  one.app.websock.subscribe('r', { handleGap: ({ ms }) => gaps.push(ms) })
  await ready(one, two)
  network.goDown()
  t.notOk(one.app.websock.ready())
  for (let n = 0; n < 5; n++) one.app.websock.publish('r', `${n}`)
  one.app.websock.broadcast('r', 'to sockets')
  t.notOk(one.app.websock.ref(addressOf(b)).post('lost'))
  const received = []
  for (let n = 0; n < 6; n++) received.push(await a.next())
  t.same(received.sort(), ['info 0', 'info 1', 'info 2', 'info 3', 'info 4', 'to sockets'])
  t.equal(one.app.websock.lostPublications, 7)
  const c = await two.join('while it was gone')
  network.goUp()
  t.equal(await a.next(), 'gap')
  for (const client of [b, c]) t.equal(await client.next(), 'gap', 'no lost publication arrives')
  t.same([gaps.length, (gaps[0] as number) >= 0], [1, true])
  await ready(one, two)
  one.app.websock.publish('r', 'again')
  one.app.websock.publish('while it was gone', 'there, too')
  t.equal(await b.next(), 'info again')
  t.equal(await c.next(), 'info there, too')
  const lines = one.logs.filter(({ engine }) => engine === 'memory')
    .map(({ msg, lost }) => `${msg} ${String(lost ?? '')}`.trim())
  t.same(lines, [
    'the engine is connected',
    'the engine is not connected: publications reach this process only',
    'the engine is connected 7'
  ])
})

void t.test('a gap is reported when all earlier topics are subscribed again', async (t) => {
  const engine = new MemoryNetwork().createEngine()
  let listener: EngineListener | undefined
  const confirm: Array<() => void> = []
  const node = await startNode(t, {
    ...watch(engine),
    start: async (given) => {
      listener = given
      given.up()
    },
    subscribe: () => new Promise((resolve) => confirm.push(resolve)),
    publish: async () => {},
    stop: async () => {}
  })
  const calls: string[] = []
  node.app.websock.subscribe('r', { handleGap: () => calls.push('gap') })
  const confirmAll = async (): Promise<void> => {
    for (const resolve of confirm.splice(0)) resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await confirmAll()
  t.ok(node.app.websock.ready())
  listener?.down()
  listener?.up()
  const last = confirm.pop()
  await confirmAll()
  t.same(calls, [], 'no gap before the last topic')
  node.app.websock.subscribe('new', {})
  last?.()
  await new Promise((resolve) => setImmediate(resolve))
  t.same(calls, ['gap'], 'the gap does not wait for new topics')
  t.notOk(node.app.websock.ready())
  await confirmAll()
  t.same(calls, ['gap'])
})

void t.test('a failed subscription is tried again, and its subscribers get a gap', async (t) => {
  const network = new MemoryNetwork()
  const engine = watch(network.createEngine())
  const { subscribe } = engine
  let refusals = 0
  engine.subscribe = async (topic) => {
    if (topic === 't:r' && refusals++ === 0) throw new Error('not now')
    return subscribe(topic)
  }
  const [one, two] = [await startNode(t, engine), await startNode(t, network.createEngine())]
  const [client, other] = [await one.join('r'), await one.join('s')]
  await until(() => refusals > 0, 'refused')
  t.notOk(one.app.websock.ready())
  t.equal(await client.next(), 'gap')
  await ready(one, two)
  two.app.websock.publish('r', 'to r')
  two.app.websock.publish('s', 'to s')
  t.equal(await client.next(), 'info to r')
  t.equal(await other.next(), 'info to s', 'no gap for another topic')
})

void t.test('publications for a broker that hangs are bounded by bytes', async (t) => {
  let listener: EngineListener | undefined
  const stuck: Engine = {
    ...watch(new MemoryNetwork().createEngine()),
    start: async (given) => {
      listener = given
      given.up()
    },
    subscribe: async () => {},
    unsubscribe: async () => {},
    publish: () => new Promise(() => {}),
    stop: async () => {}
  }
  const node = await startNode(t, stuck)
  for (let n = 0; n < 40; n++) node.app.websock.publish('r', 'x'.repeat(1024 * 1024 - 100))
  t.equal(
    node.app.websock.lostPublications,
    24,
    '16 MiB are pending, a little of which is presence'
  )
  t.type(listener?.down, 'function')
})

void t.test('local publications arrive when each call of an engine fails', async (t) => {
  const failure = (): never => { throw new Error('broken') }
  const name = 'broken'
  const base = { name, maxPayloadBytes: 256 * 1024 }
  const cannotStart = await startNode(t, {
    ...base,
    start: async () => failure(),
    subscribe: failure,
    unsubscribe: failure,
    publish: failure,
    stop: failure
  })
  const cannotTalk = await startNode(t, {
    ...base,
    start: async (listener) => listener.up(),
    subscribe: failure,
    unsubscribe: async () => failure(),
    publish: failure,
    stop: async () => failure()
  })
  for (const node of [cannotStart, cannotTalk]) {
    const client = await node.join('r')
    node.app.websock.publish('r', 'here')
    t.equal(await client.next(), 'info here')
    t.notOk(node.app.websock.ready())
    t.ok(node.app.websock.lostPublications >= 1)
    client.close()
    await client.closed
    await node.app.close()
    t.match(node.logs.at(-1)?.msg, 'the engine failed to stop')
  }
})
