import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import type { Engine } from '../../src/pubsub/engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { measurePauses } from '../helpers/pauses.ts'
import { startProxy, type Proxy as TcpProxy } from '../helpers/proxy.ts'
import { connectAdmin, REDIS_CLIENTS } from '../helpers/redis-clients.ts'
import type { Teardown } from '../helpers/server.ts'

/** The time in which the library promises to notice a silent broker. */
const NOTICED_MS = 10_000
const MIB = 1024 * 1024

// The tests mostly wait.
t.jobs = 11

for (const { name, create } of REDIS_CLIENTS) {
  for (const role of ['publisher', 'subscriber'] as const) {
    void t.test(
      `over ${name}, a black hole on the connection of the ${role} is reported as down, then up`,
      { skip: skipWithout('redis-server') },
      async (t) => {
        const broker = await startRedis(t)
        const admin = await connectAdmin(t, broker.port)
        const proxy = await startProxy(t, broker.port)
        const node = await startNode(t, redisEngine(create(proxy.port)))
        const lines = (await admin.ask<string>('CLIENT', 'LIST'))
          .split('\n')
          .filter((line) => (role === 'subscriber') === / sub=1 /.test(line))
        await assertNoticed(t, node, proxy, (port) =>
          lines.some((line) => line.includes(` addr=127.0.0.1:${port} `))
        )
      }
    )
  }
}

void t.test(
  'over NATS, a black hole is noticed, and the engine is up when the path is back',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const broker = await startNats(t)
    const proxy = await startProxy(t, broker.port)
    const node = await startNode(t, natsEngine(await open(t, proxy.port)))
    await assertNoticed(t, node, proxy)
  }
)

void t.test(
  'over NATS, a black hole with a full socket is noticed, and the engine connects again',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const broker = await startNats(t)
    const proxy = await startProxy(t, broker.port)
    const node = await startNode(t, natsEngine(await open(t, proxy.port)))
    proxy.stall()
    // More bytes than the kernel buffers.
    const published = Promise.allSettled(
      Array.from({ length: 32 }, () => node.engine.publish('topic', new Uint8Array(MIB)))
    )
    await assertNoticed(t, node, proxy)
    t.ok((await published).every(({ status }) => status === 'rejected'))
  }
)

void t.test(
  'over NATS, the reason names a client that hides its socket',
  { skip: skipWithout('nats-server') },
  async (t) => {
    const broker = await startNats(t)
    const proxy = await startProxy(t, broker.port)
    const connection = await open(t, proxy.port)
    const node = await startNode(t, natsEngine(hideInternals(connection)))
    await assertNoticed(t, node, proxy)
    t.match(node.reasons[0], {
      message: /NATS does not answer, and this version of its client hides its socket/
    })
  }
)

/** Checks that the engine is down within 10 s, and up again when the proxy forwards. */
async function assertNoticed (
  t: Test,
  node: EngineNode,
  proxy: TcpProxy,
  isSelected?: (port: number) => boolean
): Promise<void> {
  proxy.isClosed = true
  proxy.blackHole(isSelected)
  const from = performance.now()
  const pausedMs = measurePauses(t)
  await node.until(() => node.turns.length === 2, 'down')
  const ms = performance.now() - from
  t.same(node.turns, ['up', 'down'])
  t.ok(ms <= NOTICED_MS + pausedMs(), `noticed after ${Math.round(ms)} ms`)
  t.ok(
    (node.silentMs[0] ?? 0) >= ms - 1,
    `silent for ${node.silentMs[0]} ms, noticed after ${Math.round(ms)} ms`
  )
  t.match(node.reasons[0], { message: /does not answer/ })
  proxy.isClosed = false
  proxy.cut()
  await node.until(() => node.turns.length === 3, 'up')
  await node.engine.subscribe('topic')
  await node.engine.publish('topic', Uint8Array.of(1))
  await node.until(() => node.received.length === 1, 'a publication')
}

async function startNode (t: Teardown, engine: Engine): Promise<EngineNode> {
  const node = new EngineNode(engine)
  t.teardown(() => node.stop())
  await node.engine.start(node)
  await node.until(() => node.turns.length > 0, 'up')
  await node.engine.subscribe('topic')
  return node
}

async function open (
  t: Teardown,
  port: number,
  options: NodeConnectionOptions = {}
): Promise<NatsConnection> {
  const connection = await connect({
    port,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    ignoreClusterUpdates: true,
    ...options
  })
  t.teardown(() => connection.close())
  return connection
}

/** The connection without its undocumented properties. */
function hideInternals (connection: NatsConnection): NatsConnection {
  return new Proxy(connection, {
    get: (target, name) => {
      if (name === 'protocol') return undefined
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) as unknown : value
    }
  })
}
