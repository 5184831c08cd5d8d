import { writeFile } from 'node:fs/promises'
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node'
import t from 'tap'
import { natsEngine, type NatsEngineOptions } from '../../src/engines/nats-engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { startNats } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { startProxy } from '../helpers/proxy.ts'
import type { Teardown } from '../helpers/server.ts'

const skip = skipWithout('nats-server')
const patient = { maxReconnectAttempts: -1, reconnectTimeWait: 50 }

void t.test('an engine over NATS', { skip }, async (t) => {
  await t.test(
    'leaves the connection, and other subscriptions on it, unchanged',
    async (t) => {
      const broker = await startNats(t)
      const connection = await open(t, { port: broker.port })
      const heard: string[] = []
      connection.subscribe('mine', {
        callback: (_error, message) => {
          heard.push(message.string())
        }
      })
      const node = await startNode(t, connection)
      await node.engine.subscribe('topic')
      await node.stop()
      connection.publish('mine', 'still')
      await connection.flush()
      t.same(heard, ['still'])
      t.notOk(connection.isClosed())
      // Internals, because the client does not show its status listeners and subscriptions.
      const { listeners, subscriptions } = (
        connection as unknown as {
          protocol: { listeners: unknown[], subscriptions: { size(): number } }
        }
      ).protocol
      t.equal(listeners.length, 0)
      t.equal(subscriptions.size(), 1)
    }
  )

  await t.test('that starts while its connection is lost is up when it is back', async (t) => {
    const broker = await startNats(t)
    const connection = await open(t, { port: broker.port, ...patient })
    const statuses = connection.status()[Symbol.asyncIterator]()
    await broker.kill()
    for (let type = ''; type !== 'disconnect';) {
      type = (await statuses.next()).value?.type ?? 'disconnect'
    }
    const node = new EngineNode(natsEngine(connection))
    t.teardown(() => node.stop())
    await node.engine.start(node)
    await t.rejects(node.engine.publish('topic', Uint8Array.of(1)), {
      code: 'FST_WEBSOCK_ENGINE_DOWN'
    })
    t.same(node.turns, [])
    await broker.start()
    await node.until(() => node.turns.length > 0, 'up')
    await node.engine.publish('topic', Uint8Array.of(1))
    t.same(node.turns, ['up'])
  })

  await t.test(
    'is down for good when the client gives up, or is closed by its owner',
    async (t) => {
      const broker = await startNats(t)
      const impatient = await open(t, {
        port: broker.port,
        maxReconnectAttempts: 1,
        reconnectTimeWait: 1
      })
      const closed = await open(t, { port: broker.port })
      const nodes = [await startNode(t, impatient), await startNode(t, closed)]
      for (const { engine } of nodes) await engine.subscribe('topic')
      await closed.close()
      await broker.kill()
      await impatient.closed()
      for (const node of nodes) {
        await node.until(() => node.turns.length > 1, 'down')
        t.same(node.turns, ['up', 'down'])
        await t.rejects(node.engine.publish('topic', Uint8Array.of(1)), {
          code: 'FST_WEBSOCK_ENGINE_DOWN'
        })
      }
    }
  )

  await t.test('has the maximum payload of the server', async (t) => {
    const broker = await startNats(t, ['--config', 'server.conf'], (folder) =>
      writeFile(`${folder}/server.conf`, 'max_payload: 2048')
    )
    const node = await startNode(t, await open(t, { port: broker.port }))
    t.equal(node.engine.maxPayloadBytes, 2048)
    await node.engine.publish('topic', new Uint8Array(2048))
    await t.rejects(node.engine.publish('topic', new Uint8Array(2049)))
    await node.engine.publish('topic', new Uint8Array(1))
    t.same(node.turns, ['up'])
  })

  await t.test('rejects topics that the server does not permit, and serves others', async (t) => {
    const permissions =
      'authorization: { users: [ { user: u, password: p, permissions: { publish: { deny: ' +
      '"websock.secret" }, subscribe: { deny: "websock.secret" } } } ] }'
    const broker = await startNats(t, ['--config', 'server.conf'], (folder) =>
      writeFile(`${folder}/server.conf`, permissions)
    )
    const node = await startNode(t, await open(t, { port: broker.port, user: 'u', pass: 'p' }))
    await t.rejects(node.engine.subscribe('secret'), /Permissions Violation/i)
    await t.rejects(node.engine.subscribe('secret'), /Permissions Violation/i)
    await node.engine.unsubscribe('secret')
    const [secret, open1, open2] = await Promise.allSettled(
      ['secret', 'open', 'open'].map((topic) => node.engine.publish(topic, Uint8Array.of(1)))
    )
    t.same(
      [secret, open1, open2].map((settled) => settled?.status),
      ['rejected', 'fulfilled', 'fulfilled']
    )
    await node.engine.subscribe('open')
    await node.engine.publish('open', Uint8Array.of(2))
    await node.until(() => node.received.length === 1, 'a publication')
    t.same(node.turns, ['up'])
  })

  await t.test('does not send a publication again that may have been delivered', async (t) => {
    const broker = await startNats(t)
    const proxy = await startProxy(t, broker.port)
    const subscriber = await startNode(t, await open(t, { port: broker.port }))
    await subscriber.engine.subscribe('topic')
    const publisher = await startNode(
      t,
      await open(t, { port: proxy.port, ...patient, ignoreClusterUpdates: true })
    )
    proxy.isMute = true
    const published = publisher.engine.publish('topic', Uint8Array.of(1))
    await subscriber.until(() => subscriber.received.length === 1, 'the publication')
    proxy.isMute = false
    proxy.cut()
    await t.rejects(published)
    await publisher.until(() => publisher.turns.length === 3, 'down and up')
    await publisher.engine.publish('topic', Uint8Array.of(2))
    await subscriber.until(
      () => subscriber.payloadsOn('topic').some(([byte]) => byte === 2),
      'the next one'
    )
    t.same(subscriber.received.map(({ payload }) => payload[0]), [1, 2])
  })

  await t.test('with another prefix is separate, and has readable subjects', async (t) => {
    const broker = await startNats(t)
    const connection = await open(t, { port: broker.port })
    const subjects: string[] = []
    connection.subscribe('>', { callback: (_error, message) => { subjects.push(message.subject) } })
    const [node, apart] = [
      await startNode(t, connection),
      await startNode(t, connection, { prefix: 'apart.from' })
    ]
    for (const { engine } of [node, apart]) await engine.subscribe('room 5')
    await node.engine.publish('room 5', Uint8Array.of(1))
    await apart.engine.publish('room 5', Uint8Array.of(2))
    await apart.engine.publish('日'.repeat(1040), Uint8Array.of(3))
    await connection.flush()
    t.same(node.received.map(({ payload }) => payload[0]), [1])
    t.same(apart.received.map(({ payload }) => payload[0]), [2])
    t.match(subjects, [
      'websock.room%205',
      'apart.from.room%205',
      /^apart\.from\.sha256\.[0-9a-f]{64}$/
    ])
  })
})

void t.test('an invalid connection or option is refused by name', async (t) => {
  const connection = { publish () {}, subscribe () {}, flush () {}, status () {} }
  const cases: ReadonlyArray<readonly [string, RegExp, connection: unknown, options?: unknown]> = [
    [
      'FST_WEBSOCK_INVALID_CLIENT',
      /natsEngine takes a connection of `@nats-io\/transport-node`, got undefined/,
      undefined
    ],
    ['FST_WEBSOCK_INVALID_CLIENT', /got Promise/, Promise.resolve(connection)],
    [
      'FST_WEBSOCK_INVALID_OPTION',
      /`prefix` of natsEngine must be a string of at most 128 letters, .*, got 'a b'/,
      connection,
      { prefix: 'a b' }
    ],
    ...['', 'a.', '.a', 'a..b', 'a.*', '>', 'x'.repeat(129), 5].map(
      (prefix) => ['FST_WEBSOCK_INVALID_OPTION', /`prefix`/, connection, { prefix }] as const
    ),
    [
      'FST_WEBSOCK_UNKNOWN_OPTION',
      /`sharded` of natsEngine. Known are: prefix/,
      connection,
      { sharded: true }
    ]
  ]
  for (const [code, message, given, options] of cases) {
    t.throws(() => natsEngine(given as NatsConnection, options as NatsEngineOptions), {
      code,
      message
    })
  }
})

/** Opens a connection that is closed when the test ends. */
async function open (t: Teardown, options: NodeConnectionOptions): Promise<NatsConnection> {
  const connection = await connect(options)
  t.teardown(() => connection.close())
  return connection
}

/** Starts an engine and waits until it is up. It is stopped when the test ends. */
async function startNode (
  t: Teardown,
  connection: NatsConnection,
  options?: NatsEngineOptions
): Promise<EngineNode> {
  const node = new EngineNode(natsEngine(connection, options))
  t.teardown(() => node.stop())
  await node.engine.start(node)
  await node.until(() => node.turns.length > 0, 'up')
  return node
}
