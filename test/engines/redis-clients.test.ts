import { createClient, createSentinel } from 'redis'
import t from 'tap'
import { redisEngine, type RedisEngineOptions } from '../../src/engines/redis-engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { createRedis, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { startProxy } from '../helpers/proxy.ts'
import {
  connectAdmin,
  connectClient,
  countListeners,
  REDIS_CLIENTS
} from '../helpers/redis-clients.ts'
import { LONG } from '../helpers/scale.ts'
import type { Teardown } from '../helpers/server.ts'

const skip = skipWithout('redis-server')

// Each test has its own broker, and mostly waits.
t.jobs = 4

// Earlier major versions run only in the long run.
const KINDS = REDIS_CLIENTS.filter(({ name }) => LONG || name.endsWith('6'))

for (const kind of KINDS) {
  void t.test(`an engine over ${kind.name}`, { skip }, async (t) => {
    await t.test(
      'has two connections of its own while it runs, and leaves the client unchanged',
      async (t) => {
        const broker = await startRedis(t)
        const admin = await connectAdmin(t, broker.port)
        const client = await connectClient(t, kind, broker.port)
        const before = countListeners(client)
        t.equal(await admin.countOthers(), 1)
        const node = await startNode(t, client)
        await node.engine.subscribe('topic')
        t.equal(await admin.countOthers(), 3)
        t.same(countListeners(client), before)
        await node.stop()
        await admin.until(
          () => admin.countOthers(),
          (count) => count === 1
        )
        t.same(countListeners(client), before)
        t.equal(await (client as { ping(): Promise<string> }).ping(), 'PONG')
      }
    )

    await t.test('starts without a broker, and is up when the broker starts', async (t) => {
      const broker = await createRedis(t)
      const node = new EngineNode(redisEngine(kind.create(broker.port)))
      t.teardown(() => node.stop())
      await node.engine.start(node)
      t.same(node.turns, [])
      await t.rejects(node.engine.publish('topic', Uint8Array.of(1)), {
        code: 'FST_WEBSOCK_ENGINE_DOWN'
      })
      await node.until(() => node.turns.length > 0, 'down')
      t.match(node.reasons, [{ code: 'ECONNREFUSED' }])
      await broker.start()
      await node.until(() => node.turns.length > 1, 'up')
      await node.engine.publish('topic', Uint8Array.of(1))
      t.same(node.turns, ['down', 'up'])
    })

    await t.test('reports the reason when the password is missing', async (t) => {
      const broker = await startRedis(t)
      const admin = await connectAdmin(t, broker.port)
      await admin.ask('CONFIG', 'SET', 'requirepass', 'secret')
      const node = new EngineNode(redisEngine(kind.create(broker.port)))
      t.teardown(() => node.stop())
      await node.engine.start(node)
      await node.until(() => node.turns.length > 0, 'down')
      t.same(node.turns, ['down'])
      t.match(node.reasons, [{ message: /NOAUTH/ }])
    })

    await t.test(
      'is down while a changed password is refused, and then up',
      async (t) => {
        const broker = await startRedis(t)
        const admin = await connectAdmin(t, broker.port)
        const node = await startNode(t, kind.create(broker.port))
        await node.engine.subscribe('topic')
        await admin.ask('CONFIG', 'SET', 'requirepass', 'changed')
        await admin.ask('CLIENT', 'KILL', 'SKIPME', 'yes', 'TYPE', 'pubsub')
        await node.until(() => node.turns.length === 2, 'down')
        await t.rejects(node.engine.publish('topic', Uint8Array.of(1)), {
          code: 'FST_WEBSOCK_ENGINE_DOWN'
        })
        await admin.ask('CONFIG', 'SET', 'requirepass', '')
        await node.until(() => node.turns.length === 3, 'up')
        await node.engine.subscribe('topic')
        await node.engine.publish('topic', Uint8Array.of(2))
        await node.until(() => node.received.length === 1, 'a publication')
        t.same(node.turns, ['up', 'down', 'up'])
      }
    )

    await t.test('is down when either connection is lost, and up when it is back', async (t) => {
      const broker = await startRedis(t)
      const admin = await connectAdmin(t, broker.port)
      const node = await startNode(t, kind.create(broker.port))
      for (const [i, type] of ['pubsub', 'normal'].entries()) {
        await node.engine.subscribe('topic')
        t.equal(await admin.ask('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'), 1, type)
        await node.until(() => node.turns.length === 3 + 2 * i, 'down and up')
      }
      t.same(node.turns, ['up', 'down', 'up', 'down', 'up'])
    })

    for (const sharded of [false, true]) {
      await t.test(
        `subscribes to nothing by itself after a lost connection, ${sharded ? 'sharded' : 'plain'}`,
        async (t) => {
          const broker = await startRedis(t)
          const admin = await connectAdmin(t, broker.port)
          const node = await startNode(t, kind.create(broker.port), { sharded })
          const listChannels = (): Promise<string[]> =>
            admin.ask('PUBSUB', sharded ? 'SHARDCHANNELS' : 'CHANNELS')
          for (const topic of ['old', 'both']) await node.engine.subscribe(topic)
          t.same((await listChannels()).sort(), ['websock:both', 'websock:old'])
          await admin.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
          await node.until(() => node.turns.length === 3, 'down and up')
          for (const topic of ['both', 'new']) await node.engine.subscribe(topic)
          t.same((await listChannels()).sort(), ['websock:both', 'websock:new'])
        }
      )
    }

    await t.test('does not send a publication again that may have been delivered', async (t) => {
      const broker = await startRedis(t)
      const proxy = await startProxy(t, broker.port)
      const subscriber = await startNode(t, kind.create(broker.port))
      await subscriber.engine.subscribe('topic')
      const publisher = await startNode(t, kind.create(proxy.port))
      proxy.isMute = true
      const published = publisher.engine.publish('topic', Uint8Array.of(1))
      await subscriber.until(() => subscriber.received.length === 1, 'the publication')
      proxy.isMute = false
      proxy.cut()
      await t.rejects(published, { code: 'FST_WEBSOCK_ENGINE_DOWN' })
      await publisher.until(() => publisher.turns.length === 3, 'down and up')
      await publisher.engine.publish('topic', Uint8Array.of(2))
      await subscriber.until(
        () => subscriber.payloadsOn('topic').some(([byte]) => byte === 2),
        'the next one'
      )
      t.same(subscriber.received.map(({ payload }) => payload[0]), [1, 2])
    })

    await t.test('leaves no connection behind when it is stopped at any moment', async (t) => {
      const broker = await startRedis(t)
      const admin = await connectAdmin(t, broker.port)
      for (let turns = 0; turns < 30; turns++) {
        const node = new EngineNode(redisEngine(kind.create(broker.port)))
        await node.engine.start(node)
        for (let i = 0; i < turns; i++) await admin.ask('PING')
        await node.stop()
      }
      await admin.until(() => admin.countOthers(), (count) => count === 0)
    })

    await t.test(
      'reaches engines over other clients and protocols, but none with another prefix',
      async (t) => {
        const broker = await startRedis(t)
        for (const sharded of [false, true]) {
          const publishers = [
            await startNode(t, kind.create(broker.port, { resp: 2, keyPrefix: 'keys:' }), {
              sharded
            }),
            await startNode(t, kind.create(broker.port, { resp: 3, keyPrefix: 'keys:' }), {
              sharded
            })
          ]
          const subscribers = await Promise.all(
            REDIS_CLIENTS.map((each) => startNode(t, each.create(broker.port), { sharded }))
          )
          const apart = await startNode(t, kind.create(broker.port), { sharded, prefix: 'apart:' })
          for (const node of [...subscribers, ...publishers, apart]) {
            await node.engine.subscribe('topic')
          }
          for (const [i, { engine }] of publishers.entries()) {
            await engine.publish('topic', Uint8Array.of(i))
          }
          await apart.engine.publish('topic', Uint8Array.of(2))
          for (const node of [...subscribers, ...publishers]) {
            await node.until(() => node.received.length >= 2, 'both publications')
            t.same(
              node.received.map(({ topic, payload }) => [topic, payload[0]]),
              [
                ['topic', 0],
                ['topic', 1]
              ]
            )
          }
          await apart.until(() => apart.received.length > 0, 'its own publication')
          t.same(
            apart.received.map(({ payload }) => payload[0]),
            [2]
          )
        }
      }
    )
  })
}

void t.test('an invalid client or option is refused by name', async (t) => {
  const client = createClient()
  const cases: ReadonlyArray<readonly [string, RegExp, client: unknown, options?: unknown]> = [
    [
      'FST_WEBSOCK_INVALID_CLIENT',
      new RegExp('a client, cluster or sentinel of `redis` 5 or 6, ' +
        'or a client or Cluster of `ioredis` 5 or 6, got undefined'),
      undefined
    ],
    ['FST_WEBSOCK_INVALID_CLIENT', /got 'redis:/, 'redis://localhost'],
    ['FST_WEBSOCK_INVALID_CLIENT', /got \[Function/, createClient],
    [
      'FST_WEBSOCK_INVALID_OPTION',
      /`sharded` of redisEngine must be a boolean, got 'yes'/,
      client,
      { sharded: 'yes' }
    ],
    [
      'FST_WEBSOCK_INVALID_OPTION',
      /`prefix` of redisEngine must be a string of at most 256 characters, got 5/,
      client,
      { prefix: 5 }
    ],
    ['FST_WEBSOCK_INVALID_OPTION', /`prefix`/, client, { prefix: 'x'.repeat(257) }],
    ['FST_WEBSOCK_INVALID_OPTION', /redisEngine must be an object, got 'x'/, client, 'x'],
    [
      'FST_WEBSOCK_UNKNOWN_OPTION',
      /`shard` of redisEngine. Known are: sharded, prefix/,
      client,
      { shard: true }
    ]
  ]
  for (const [code, message, given, options] of cases) {
    t.throws(() => redisEngine(given as typeof client, options as RedisEngineOptions), {
      code,
      message
    })
  }
  redisEngine(client, { sharded: false, prefix: '' })
})

void t.test(
  'a client of an unsupported version is reported as down, with the reason',
  async (t) => {
    const nothing = (): void => {}
    const sentinel = createSentinel({ name: 'main', sentinelRootNodes: [] })
    Object.defineProperty(sentinel, '_execute', { value: undefined })
    const cluster = {
      sSubscribe: nothing,
      nodeClient: nothing,
      duplicate: () => ({
        on: nothing,
        connect: async () => {},
        destroy: nothing,
        slots: [],
        masters: [{ address: 'a' }],
        nodeClient: async () => ({ duplicate: nothing })
      })
    }
    const refusing = {
      sSubscribe: nothing,
      getPubSubListeners: nothing,
      sendCommand: nothing,
      duplicate: () => {
        throw new Error('is not duplicated')
      }
    }
    const refusingIoredis = { ssubscribe: nothing, duplicate: refusing.duplicate }
    for (const [client, reason] of [
      [sentinel, /This version of `redis` does not give access to the clients of its servers/],
      [cluster, /This version of `redis` does not give access to the clients of its servers/],
      [refusing, /is not duplicated/],
      [refusingIoredis, /is not duplicated/]
    ] as const) {
      const node = new EngineNode(redisEngine(client))
      t.teardown(() => node.stop())
      await node.engine.start(node)
      await node.until(() => node.turns.length > 0, 'down')
      t.match(node.reasons[0], { message: reason })
      await node.stop()
      t.same(node.turns, ['down'])
    }
  }
)

/** Starts an engine and waits until it is up. It is stopped when the test ends. */
async function startNode (
  t: Teardown,
  client: Parameters<typeof redisEngine>[0],
  options?: RedisEngineOptions
): Promise<EngineNode> {
  const node = new EngineNode(redisEngine(client, options))
  t.teardown(() => node.stop())
  await node.engine.start(node)
  await node.until(() => node.turns.length > 0, 'up')
  return node
}
