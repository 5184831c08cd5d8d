import { Type } from '@fastify/type-provider-typebox'
import { connect as connectNats } from '@nats-io/transport-node'
import { createClient } from 'redis'
import t from 'tap'
import type { Engine } from '../../src/index.ts'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'
import { startNats, startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { connect } from '../helpers/client.ts'
import { addressOf, ready, startNode, until, watch, type TestNode } from '../helpers/cluster.ts'
import { measurePauses } from '../helpers/pauses.ts'
import type { Teardown } from '../helpers/server.ts'

type CreateEngine = () => Promise<Engine> | Engine

/** For each broker, a function that starts it and returns a function that creates its engines. */
const BROKERS: Record<
  string,
  { skip: string | false, start: (t: Teardown) => Promise<CreateEngine> }
> = {
  memory: {
    skip: false,
    start: async () => {
      const network = new MemoryNetwork()
      return () => network.createEngine()
    }
  },
  redis: {
    skip: skipWithout('redis-server'),
    start: async (t) => {
      const { port } = await startRedis(t)
      return async () => {
        const client = await createClient({ socket: { port } }).on('error', () => {}).connect()
        t.teardown(() => { if (client.isOpen) client.destroy() })
        return redisEngine(client as never)
      }
    }
  },
  nats: {
    skip: skipWithout('nats-server'),
    start: async (t) => {
      const { port } = await startNats(t)
      return async () => {
        const connection = await connectNats({ servers: `127.0.0.1:${port}` })
        t.teardown(() => connection.close())
        return natsEngine(connection)
      }
    }
  }
}

for (const [broker, { skip, start }] of Object.entries(BROKERS)) {
  void t.test(`over ${broker}`, { skip }, async (t) => {
    const createEngine = await start(t)
    const nodes = async (t: Teardown, count = 2): Promise<TestNode[]> => {
      const started: TestNode[] = []
      while (started.length < count) started.push(await startNode(t, await createEngine()))
      await ready(...started)
      return started
    }

    await t.test('each subscriber gets each message once, in order', async (t) => {
      const [one, two] = (await nodes(t)) as [TestNode, TestNode]
      const [a, b, c] = [await one.join('r'), await one.join('r'), await two.join('r')]
      const elsewhere = await two.join('other')
      await ready(one, two)
      one.app.websock.publish('r', { n: 1 })
      one.app.websock.broadcast('r', 'two')
      one.app.websock.publish('r', 'three', { except: addressOf(c) })
      one.app.websock.broadcast('r', 'four', { except: addressOf(a) })
      one.app.websock.publish('r', Buffer.from([0, 255, 1]))
      one.app.websock.broadcast('r', Buffer.from([2]))
      one.app.websock.broadcast('r', { opcode: 'binary', data: Buffer.from([3]) })
      // Broadcasts do not go through mailboxes, so their order among publications is not defined.
      const expected = (left: string): Array<string | Buffer> =>
        [
          'info {"n":1}', 'two', 'info three', 'four', Buffer.from([0, 255, 1]), Buffer.from([2]),
          Buffer.from([3])
        ].filter((x) => x !== left)
      for (const [client, left] of [[a, 'four'], [b, ''], [c, 'info three']] as const) {
        const received = []
        for (let n = 0; n < expected(left).length; n++) received.push(await client.next())
        t.same(received.map(String).sort(), expected(left).map(String).sort())
      }
      for (let n = 0; n < 1000; n++) one.app.websock.publish('r', `${n}`)
      for (const client of [b, c]) {
        for (let n = 0; n < 1000; n++) {
          if ((await client.next()) !== `info ${n}`) t.fail(`${n} is out of order`)
        }
      }
      two.app.websock.publish('other', 'end')
      t.equal(await elsewhere.next(), 'info end', 'no message of the other topic before')
    })

    await t.test('a ref works on another node', async (t) => {
      const [one, two] = await nodes(t) as [TestNode, TestNode]
      const far = await two.join('r')
      t.ok(one.app.websock.ref(addressOf(far)).post('from afar'))
      t.equal(await far.next(), 'info from afar')
      far.close()
      await far.closed
      const near = await one.join('r')
      near.close()
      await near.closed
      await until(
        () => !one.app.websock.ref(addressOf(near)).post('x'),
        'a refusal by an ended connection of this node'
      )
      t.ok(
        one.app.websock.ref(addressOf(far)).post('x'),
        'a connection of another node may have ended, which is not known here'
      )
      t.notOk(one.app.websock.ref('nobody').post('x'))
      t.throws(() => one.app.websock.ref(addressOf(far)).post(1n), {
        code: 'FST_WEBSOCK_UNSENDABLE'
      })
      const [here, there] = [await one.join('r'), await two.join('r')]
      for (const client of [here, there]) {
        t.ok(one.app.websock.ref(addressOf(client)).close(4003, 'kicked'))
        t.same(await client.closed, { code: 4003, reason: 'kicked' })
      }
      t.throws(() => one.app.websock.ref(addressOf(far)).close(1006), {
        code: 'FST_WEBSOCK_UNSENDABLE'
      })
    })

    await t.test('presence is the same on all nodes, and changes are reported', async (t) => {
      const [one, two] = await nodes(t) as [TestNode, TestNode]
      const [a, b] = [await one.join('r'), await two.join('r')]
      a.send('track ann {"age":1}')
      for (const client of [a, b]) {
        t.match(
          [await client.next(), client === a ? await client.next() : ''].join(),
          /\+ann=\{"age":1\}/
        )
      }
      t.same(two.app.websock.presence('r'), [
        { key: 'ann', meta: { age: 1 }, address: addressOf(a) }
      ])
      one.app.websock.track('r', 'node', 'one')
      t.equal(await b.next(), '+node="one"')
      t.equal(await a.next(), '+node="one"')
      a.send('track ann {"age":2}')
      t.same([await b.next(), await b.next()], ['-ann', '+ann={"age":2}'])
      const late = await startNode(t, await createEngine())
      await until(
        () => late.app.websock.presence('r').length === 2,
        'both entries on a node that starts later'
      )
      a.close()
      t.equal(await b.next(), '-ann')
      const closedAt = performance.now()
      const pausedMs = measurePauses(t)
      await one.app.close()
      t.equal(await b.next(), '-node', 'the entries of a node that closes leave')
      t.ok(
        performance.now() - closedAt < 2500 + pausedMs(),
        'they leave at once, not only after a long silence'
      )
      t.same(two.app.websock.presence('r'), [])
    })
  })
}

void t.test('an info that cannot be serialized is thrown, and not delivered', async (t) => {
  const node = await startNode(t, new MemoryNetwork().createEngine())
  const client = await node.join('r')
  const { websock } = node.app
  const circle: unknown[] = []
  circle.push(circle)
  const poison: unknown[] = [JSON.parse('{"__proto__":1}'), [{ constructor: { prototype: 1 } }]]
  for (const info of [undefined, () => {}, 1n, circle, 'x'.repeat(1024 * 1024), ...poison]) {
    t.throws(() => websock.publish('r', info), { code: 'FST_WEBSOCK_UNSENDABLE' })
  }
  t.throws(() => websock.broadcast('r', 'x'.repeat(1024 * 1024)), {
    code: 'FST_WEBSOCK_UNSENDABLE'
  })
  t.throws(
    () => websock.publish('\ud800', 1),
    { code: 'FST_WEBSOCK_INVALID_TOPIC' },
    'half of a surrogate pair'
  )
  for (const [key, meta] of [
    ['', 1], ['k'.repeat(1025), 1], [5, 1], ['k', 1n], ['k', 'x'.repeat(9000)], ['k', () => {}],
    ['k', poison[0]], ['k', poison[1]]
  ] as const) {
    t.throws(() => websock.track('r', key as string, meta), { code: 'FST_WEBSOCK_UNTRACKABLE' })
  }
  websock.publish('r', { constructor: 'end' })
  t.equal(await client.next(), 'info {"constructor":"end"}')
  t.same(websock.presence('r'), [])
})

void t.test('a topic is subscribed once for each node, until its last subscriber', async (t) => {
  const network = new MemoryNetwork()
  const engine = watch(network.createEngine())
  const node = await startNode(t, engine)
  const topicCalls = (): string[] => engine.calls.filter((call) => /^.t:/.test(call))
  const clients = [await node.join('r'), await node.join('r'), await node.join('s')]
  await ready(node)
  t.same(topicCalls(), ['+t:r', '+t:s'])
  clients[0]?.close()
  clients[1]?.send('leave')
  await clients[1]?.next()
  await until(() => topicCalls().length === 3, 'unsubscribed')
  t.same(topicCalls(), ['+t:r', '+t:s', '-t:r'])
  const listener = {}
  for (let n = 0; n < 100; n++) {
    node.app.websock.subscribe('fast', listener)
    node.app.websock.unsubscribe('fast', listener)
  }
  node.app.websock.subscribe('fast', listener)
  await ready(node)
  t.equal(topicCalls().at(-1), '+t:fast', 'the last call decides')
  t.ok(topicCalls().length < 10, 'many calls in one tick cause few calls of the engine')
})

void t.test('presence while a node is cut off, and after its return', async (t) => {
  const network = new MemoryNetwork()
  const cutOff = network.createEngine()
  const [one, two] = [await startNode(t, network.createEngine()), await startNode(t, cutOff)]
  const [a, b] = [await one.join('r'), await two.join('r')]
  await ready(one, two)
  const keys = ({ app }: TestNode): string[] =>
    app.websock.presence('r').map(({ key }) => key).sort()
  a.send('track ann')
  b.send('track bob')
  await until(() => keys(one).length === 2 && keys(two).length === 2, 'both entries on both nodes')
  network.goDown(cutOff)
  await until(() => keys(one).join() === 'ann' && keys(two).join() === 'bob', 'own entries')
  b.send('track ben')
  network.goUp(cutOff)
  await until(() => keys(one).length === 3 && keys(two).length === 3, 'all entries on both nodes')
  const changesOf = (client: typeof a): string[] =>
    client.received.map(String).filter((text) => /^[+-]/.test(text))
      .map((text) => text.replace('=null', ''))
  await until(() => changesOf(a).length === 5 && changesOf(b).length === 5, 'all changes')
  t.same(changesOf(a).slice(0, 2).sort(), ['+ann', '+bob'])
  t.same(changesOf(a).slice(2), ['-bob', '+ben', '+bob'])
  t.same(changesOf(b).slice(2).sort(), ['+ann', '+ben', '-ann'])
})

void t.test('invalid messages from the broker reach no handler', async (t) => {
  const network = new MemoryNetwork()
  let checked = 0
  const node = await startNode(t, network.createEngine(), (app) => {
    app.get('/typed', {
      schema: {
        websocket: {
          info: Type.Object({ tick: Type.Integer() }),
          send: Type.Object({ tick: Type.Integer() })
        }
      },
      websocketHandler: {
        init: (_args, ws) => {
          ws.subscribe('typed')
          return ws.push({ tick: 0 })
        },
        handleInfo: (info, _state, ws) => {
          checked++
          return ws.push(info)
        }
      }
    })
  })
  const client = await node.join('r')
  const typed = await connect(t, node.url('/typed'))
  await typed.next()
  const foreign = network.createEngine()
  await new Promise<void>((resolve, reject) => {
    foreign
      .start({ up: resolve, down: reject, receive: () => {}, dropped: () => {} })
      .catch(reject)
  })
  t.teardown(() => foreign.stop())
  await ready(node)
  const nodeName = addressOf(client).split('.')[0] as string
  const envelope = (
    kind: number,
    body: string | Buffer,
    { version = 1, form = 0, from = 'foreign', address = '' } = {}
  ): Buffer =>
    Buffer.concat([
      Buffer.from([version, kind, form, from.length]),
      Buffer.from(from),
      Buffer.from([address.length]),
      Buffer.from(address),
      Buffer.from(body)
    ])
  const hostile = [
    Buffer.alloc(0),
    Buffer.from([1]),
    Buffer.from('hello'),
    Buffer.from([1, 0, 0, 255]),
    Buffer.from([1, 0, 0, 1, 97, 200, 1]),
    Buffer.alloc(1024 * 1024, 1),
    envelope(0, '"x"', { version: 2 }),
    envelope(9, '"x"'),
    envelope(0, '"x"', { form: 9 }),
    envelope(0, ''),
    envelope(0, '{'),
    envelope(0, Buffer.from([0x22, 0xff, 0x22])),
    envelope(0, '{"__proto__":{"x":1}}'),
    envelope(0, '{"constructor":{"prototype":{"x":1}}}'),
    envelope(0, '"x"', { from: '' }),
    envelope(0, '"x"', { from: 'a b' }),
    envelope(0, '"x"', { address: 'no address' }),
    envelope(2, '"x"', { address: addressOf(client) }),
    envelope(3, '{"type":"bye"}'),
    envelope(0, '"x"', { from: nodeName }),
    ...[
      '[1006,""]', '[1000]', '[1000,5]', '["1000",""]', `[4000,"${'x'.repeat(124)}"]`, '{}', 'null'
    ].map((body) => envelope(4, body, { address: addressOf(client) }))
  ]
  for (const topic of ['t:r', 't:typed', 'p', `n:${nodeName}`]) {
    // A post on the topic of a node is valid.
    for (const bytes of hostile) {
      if (!(topic.startsWith('n:') && bytes[1] === 2)) await foreign.publish(topic, bytes)
    }
  }
  await foreign.publish('t:r', envelope(4, '[4000,""]', { address: addressOf(client) }))
  for (const body of ['{"tick":"1"}', '{"tick":1.5}', '[]', 'null', '{}']) {
    await foreign.publish('t:typed', envelope(0, body))
  }
  await foreign.publish('t:typed', envelope(1, '{"tick":"no number"}'))
  await foreign.publish('t:typed', envelope(0, '{"tick":7}'))
  t.same(await typed.nextJson(), { tick: 7 }, 'the valid info arrives, and none before it')
  t.equal(checked, 1)
  await foreign.publish('t:r', envelope(0, '"end"'))
  t.equal(await client.next(), 'info end')
  t.equal(
    node.logs.filter(({ msg }) => /from the broker was dropped/.test(msg)).length,
    1,
    'one log line for all'
  )
  t.same(node.app.websock.presence('r'), [])
})

void t.test('listeners of the app are called at once, and their errors are logged', async (t) => {
  const node = await startNode(t, undefined)
  const { websock } = node.app
  t.ok(websock.ready())
  const heard: unknown[] = []
  const listener = {
    handleInfo: (info: unknown) => { heard.push(info) },
    handlePresence: ({ joins }: { joins: readonly unknown[] }) => {
      heard.push(joins.length)
    }
  }
  websock.subscribe('r', listener)
  websock.subscribe('r', listener)
  websock.subscribe('r', { handleInfo: () => { throw new Error('thrown') } })
  websock.subscribe('r', { handleInfo: async () => { throw new Error('rejected') } })
  websock.publish('r', 'info')
  t.same(heard, ['info'])
  websock.broadcast('r', 'for sockets only')
  websock.track('r', 'me')
  await until(() => heard.length === 2, 'a call of handlePresence')
  websock.unsubscribe('r', listener)
  websock.unsubscribe('r', listener)
  websock.untrack('r', 'me')
  websock.publish('r', 'no more')
  t.same(heard, ['info', 1])
  const client = await node.join('r')
  websock.publish('r', 'x')
  t.equal(await client.next(), 'info x')
  t.same(
    node.logs.filter(({ msg }) => msg === 'a listener of a topic failed')
      .map(({ err }) => err?.message)
      .sort(),
    ['rejected', 'rejected', 'rejected', 'thrown', 'thrown', 'thrown']
  )
})
