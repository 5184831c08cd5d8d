import { writeFile } from 'node:fs/promises'
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node'
import t from 'tap'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { findFreePort, startNats, type Broker } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { ready, startNode, until } from '../helpers/cluster.ts'
import type { Teardown } from '../helpers/server.ts'

const skip = skipWithout('nats-server')
const patient = { maxReconnectAttempts: -1, reconnectTimeWait: 50 }

void t.test(
  'over NATS, topics beyond `max_subscriptions` are not ready until others end',
  { skip },
  async (t) => {
    // Each connection subscribes to presence, the topic of its node, and three topics.
    const broker = await startConfigured(t, 'max_subscriptions: 5')
    const [node, other] = [
      await startNode(t, natsEngine(await open(t, broker.port))),
      await startNode(t, natsEngine(await open(t, broker.port)))
    ]
    const gaps: string[] = []
    const listeners = Object.fromEntries(
      ['one', 'two', 'three', 'four'].map((topic) => [
        topic,
        {
          handleGap: () => {
            gaps.push(topic)
          }
        }
      ])
    )
    const { websock } = node.app
    for (const topic of ['one', 'two', 'three']) websock.subscribe(topic, listeners[topic] ?? {})
    await ready(node, other)
    websock.subscribe('four', listeners['four'] ?? {})
    await until(() => node.logs.some(({ msg }) => /cannot be subscribed/.test(msg)), 'a log line')
    t.notOk(websock.ready())
    t.match(
      node.logs.filter(({ msg }) => /cannot be subscribed/.test(msg)),
      [{ topic: 't:four', err: { message: /max_subscriptions/ } }]
    )
    websock.unsubscribe('two', listeners['two'] ?? {})
    t.equal(await websock.subscriptionReady('four'), true)
    await until(() => gaps.length > 0, 'a gap')
    await ready(node)
    t.same(gaps, ['four'])
    const heard: unknown[] = []
    websock.subscribe('four', {
      handleInfo: (info) => {
        heard.push(info)
      }
    })
    other.app.websock.publish('four', 'heard')
    await until(() => heard.length === 1, 'a publication')
  }
)

void t.test(
  'over NATS, the smaller `max_payload` of a restarted server is used',
  { skip },
  async (t) => {
    const broker = await startConfigured(t, 'max_payload: 1048576')
    const node = await startNode(t, natsEngine(await open(t, broker.port)))
    await ready(node)
    node.app.websock.publish('topic', 'x'.repeat(600_000))
    await writeFile(`${broker.folder}/server.conf`, 'max_payload: 524288')
    await broker.restart()
    await until(
      () => node.logs.filter(({ msg }) => msg === 'the engine is connected').length === 2,
      'connected again'
    )
    t.throws(() => node.app.websock.publish('topic', 'x'.repeat(600_000)), {
      code: 'FST_WEBSOCK_UNSENDABLE',
      message: /524288/
    })
    await ready(node)
  }
)

void t.test(
  'over NATS, a changed password is reported as down, and as up when it is valid again',
  { skip },
  async (t) => {
    const withPassword = (password: string): string =>
      `authorization: { user: u, password: ${password} }`
    const broker = await startConfigured(t, withPassword('before'))
    const node = await startEngine(
      t,
      await open(t, broker.port, { user: 'u', pass: 'before', ignoreAuthErrorAbort: true })
    )
    await node.engine.subscribe('topic')
    const change = async (password: string): Promise<void> => {
      await writeFile(`${broker.folder}/server.conf`, withPassword(password))
      await broker.reload(/Reloaded server configuration/)
    }
    await change('after')
    await node.until(() => node.turns.length === 2, 'down')
    await t.rejects(node.engine.publish('topic', Uint8Array.of(1)), {
      code: 'FST_WEBSOCK_ENGINE_DOWN'
    })
    await change('before')
    await node.until(() => node.turns.length === 3, 'up')
    await node.engine.subscribe('topic')
    await node.engine.publish('topic', Uint8Array.of(2))
    await node.until(() => node.received.length === 1, 'a publication')
    t.same(node.turns, ['up', 'down', 'up'])
  }
)

void t.test(
  'over NATS, a move away from a server in lame duck mode is reported as down and up',
  { skip },
  async (t) => {
    const [one, two] = await startPair(t)
    const node = await startEngine(
      t,
      await open(t, one.port, {
        servers: [one, two].map(({ port }) => `127.0.0.1:${port}`),
        noRandomize: true
      })
    )
    const other = await startEngine(t, await open(t, two.port))
    await node.engine.subscribe('topic')
    await publishUntilHeard(other, node, 1)
    one.signal('SIGUSR2')
    await node.until(() => node.turns.length === 3, 'down and up')
    await node.engine.subscribe('topic')
    await publishUntilHeard(other, node, 2)
    t.same(node.turns, ['up', 'down', 'up'])
    t.same(other.turns, ['up'])
  }
)

void t.test(
  'over NATS with `noEcho`, nodes with separate connections get publications of each other',
  { skip },
  async (t) => {
    const broker = await startNats(t)
    const nodes = [
      await startEngine(t, await open(t, broker.port, { noEcho: true })),
      await startEngine(t, await open(t, broker.port, { noEcho: true }))
    ]
    for (const { engine } of nodes) await engine.subscribe('topic')
    for (const [i, { engine }] of nodes.entries()) await engine.publish('topic', Uint8Array.of(i))
    for (const node of nodes) await node.until(() => node.received.length === 1, 'a publication')
    t.same(
      nodes.map(({ received }) => received.map(({ payload }) => payload[0])),
      [[1], [0]]
    )
    t.same(
      nodes.map(({ turns }) => turns),
      [['up'], ['up']]
    )
  }
)

/**
 * Publishes until `to` has received it. There is no event when two servers know each other's
 * subscriptions, and earlier publications are lost.
 */
async function publishUntilHeard (from: EngineNode, to: EngineNode, byte: number): Promise<void> {
  const isHeard = (): boolean => to.received.some(({ payload }) => payload[0] === byte)
  const timer = setInterval(() => {
    from.engine.publish('topic', Uint8Array.of(byte)).catch(() => {})
  }, 20)
  try {
    await to.until(isHeard, `publication ${byte}`)
  } finally {
    clearInterval(timer)
  }
}

async function startConfigured (t: Teardown, configuration: string): Promise<Broker> {
  return startNats(t, ['--config', 'server.conf'], (folder) =>
    writeFile(`${folder}/server.conf`, configuration)
  )
}

/** Two servers of one cluster, with a short lame duck mode. */
async function startPair (t: Teardown): Promise<[Broker, Broker]> {
  const lameDuck = 'lame_duck_duration: "30s", lame_duck_grace_period: "100ms"'
  const route = await findFreePort()
  const one = await startConfigured(
    t,
    `${lameDuck}, cluster: { name: pair, listen: "127.0.0.1:${route}" }`
  )
  const two = await startConfigured(
    t,
    `${lameDuck}, cluster: { name: pair, listen: "127.0.0.1:${await findFreePort()}", routes: ` +
    `["nats://127.0.0.1:${route}"] }`
  )
  return [one, two]
}

async function open (
  t: Teardown,
  port: number,
  options: NodeConnectionOptions = {}
): Promise<NatsConnection> {
  const connection = await connect({
    ...(options.servers === undefined && { port }),
    ...patient,
    ...options
  })
  t.teardown(() => connection.close())
  return connection
}

/** Starts an engine and waits until it is up. It is stopped when the test ends. */
async function startEngine (t: Teardown, connection: NatsConnection): Promise<EngineNode> {
  const node = new EngineNode(natsEngine(connection))
  t.teardown(() => node.stop())
  await node.engine.start(node)
  await node.until(() => node.turns.length > 0, 'up')
  return node
}
