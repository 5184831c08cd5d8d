import { deepStrictEqual } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { Presence } from '../../src/pubsub/presence.ts'
import { Cluster, show, union, type Node } from '../helpers/presence-nodes.ts'
import { runs } from '../helpers/random.ts'

const TOPICS = ['one', 'two']

void t.test('a tracked entry is seen at once on its node, then on the others', async (t) => {
  const cluster = new Cluster()
  const [a, b] = [cluster.start(), cluster.start()]
  a.track('one', 'ann', 1, { age: 1 })
  a.track('one', 'ann', 2, null)
  t.same(a.keys('one'), ['ann', 'ann'], 'two connections under one key')
  await cluster.pass(1)
  t.same(b.presence.of('one'), [
    { key: 'ann', meta: { age: 1 }, address: 'n1.1' },
    { key: 'ann', meta: null, address: 'n1.2' }
  ])
  a.track('one', 'ann', 1, { age: 2 })
  a.track('one', 'bob', 3, 1)
  a.untrack('one', 'bob', 3)
  await cluster.pass(1)
  t.same(
    b.diffs,
    ['one +ann={"age":1},ann=null -', 'one +ann={"age":2} -ann'],
    'another meta is a leave and a join; an entry of less than a turn is not reported'
  )
  t.same(a.diffs, b.diffs, 'the node itself reports the same')
  a.leave(1)
  await cluster.pass(1)
  t.same(b.diffs.slice(2), ['one + -ann'])
  t.same(b.presence.of('two'), [])
})

void t.test('a node that starts later gets all entries, in parts', async (t) => {
  const cluster = new Cluster()
  const a = cluster.start()
  for (let n = 0; n < 500; n++) a.track('one', `key ${n}`, n, 'x'.repeat(500))
  await cluster.pass(1)
  const b = cluster.start()
  await cluster.pass(1)
  t.equal(b.keys('one').length, 500)
  t.equal(b.diffs.length, 1, 'in one diff')
})

void t.test('a node may track as much as it can send to a new node', async (t) => {
  const cluster = new Cluster()
  const a = cluster.start()
  let tracked = 0
  const fill = (): void => {
    for (; ; tracked++) {
      a.presence.track('one', `key ${tracked}`, 'x'.repeat(7000), `n1.${tracked}`)
    }
  }
  t.throws(fill, { code: 'FST_WEBSOCK_UNTRACKABLE' })
  t.ok(tracked > 1100, `${tracked} of 7 kB are 8 MiB`)
  a.presence.untrack('one', 'key 0', 'n1.0')
  a.presence.track('one', 'key 0', 'x'.repeat(7000), 'n1.0')
  await cluster.pass(1)
  const b = cluster.start()
  await cluster.pass(1)
  t.equal(b.keys('one').length, tracked)
})

void t.test('an entry of one turn is reported if presence() has returned it', async (t) => {
  const cluster = new Cluster()
  const a = cluster.start()
  a.track('one', 'ann', 1, null)
  a.track('one', 'unseen', 2, null)
  a.untrack('one', 'unseen', 2)
  t.same(a.keys('one'), ['ann'])
  a.untrack('one', 'ann', 1)
  await cluster.pass(1)
  t.same(a.diffs, ['one +ann=null -', 'one + -ann'])
})

void t.test('a node is forgotten at the fourth silent tick, or when it says goodbye', async (t) => {
  const cluster = new Cluster()
  const [a, b, c] = [cluster.start(), cluster.start(), cluster.start()]
  b.track('one', 'bob', 1, null)
  c.track('one', 'cat', 1, null)
  await cluster.pass(1)
  t.same(a.keys('one'), ['bob', 'cat'])
  cluster.kill(b)
  await cluster.pass(3)
  t.same(a.keys('one'), ['bob', 'cat'])
  await cluster.pass(1)
  t.same(a.keys('one'), ['cat'])
  c.presence.start()()
  await turn()
  cluster.deliver(a)
  t.same(a.keys('one'), [])
})

void t.test('a node that was paused keeps nodes that sent messages meanwhile', async (t) => {
  const cluster = new Cluster()
  const [a, b] = [cluster.start(), cluster.start()]
  b.track('one', 'bob', 1, null)
  await cluster.pass(1)
  // Node a is paused for a minute. Then its late tick runs before it reads the waiting messages.
  for (let n = 0; n < 60; n++) b.presence.tick()
  a.presence.tick()
  t.same(a.keys('one'), ['bob'])
  cluster.deliver(a)
  await cluster.pass(5)
  t.same([a.keys('one'), a.diffs.length], [['bob'], 1])
})

void t.test('in a netsplit each side sees its own entries, then all', async (t) => {
  const cluster = new Cluster()
  const [a, b] = [cluster.start(), cluster.start()]
  a.track('one', 'ann', 1, null)
  b.track('one', 'bob', 1, null)
  await cluster.pass(1)
  cluster.cut(a, b)
  await cluster.pass(4)
  t.same([a.keys('one'), b.keys('one')], [['ann'], ['bob']])
  b.track('one', 'ben', 2, null)
  b.leave(1)
  await cluster.pass(1)
  cluster.heal()
  await cluster.pass(2)
  t.same([a.keys('one'), b.keys('one')], [['ann', 'ben'], ['ann', 'ben']])
})

void t.test('invalid messages, and messages for another node, change nothing', async (t) => {
  const cluster = new Cluster()
  const a = cluster.start()
  const entry = (address: unknown, topic: unknown = 'one', key: unknown = 'k'): unknown => [
    topic,
    key,
    address,
    null
  ]
  const hostile: unknown[] = [
    undefined,
    null,
    1,
    '',
    'bye',
    [],
    {},
    { type: 'bee' },
    { type: 'beat' },
    { type: 'beat', version: -1, hello: true },
    { type: 'beat', version: 1.5, hello: true },
    { type: 'beat', version: 2 ** 60, hello: true },
    { type: 'beat', version: 1, hello: 1 },
    { type: 'delta', version: 1, joins: {}, leaves: [] },
    { type: 'delta', version: 1, joins: [1], leaves: [] },
    ...[
      entry('other.1'),
      entry('x1'),
      entry(1),
      entry('x.1', 5),
      entry('x.1', ''),
      entry('x.1', 'one', 'k'.repeat(1025)),
      ['one', 'k', 'x.1'],
      entry('x.1 y')
    ].map((join) => ({ type: 'delta', version: 1, joins: [join], leaves: [] })),
    { type: 'part', version: 1, part: 0, parts: 1, entries: 'all' },
    { type: 'part', version: 1, part: '0', parts: 1, entries: [] },
    { type: 'ask', of: 1 }
  ]
  for (const body of hostile) t.notOk(a.presence.receive('x', body), JSON.stringify(body))
  for (const body of [
    { type: 'part', version: 9, part: 1, parts: 2, entries: [entry('x.1')] },
    { type: 'part', version: 9, part: 0, parts: 0, entries: [entry('x.1')] },
    { type: 'delta', version: 7, joins: [entry('x.1')], leaves: [] },
    { type: 'delta', version: 0, joins: [entry('x.1')], leaves: [] },
    { type: 'ask', of: 'nobody' }
  ]) {
    t.ok(a.presence.receive('x', body), JSON.stringify(body))
  }
  t.same(a.keys('one'), [])
  for (let n = 0; n < 5000; n++) {
    a.presence.receive(`x${n}`, {
      type: 'delta',
      version: 1,
      joins: [entry(`x${n}.1`)],
      leaves: []
    })
  }
  t.equal(a.keys('one').length, 1023, 'at most 1 024 nodes are known, node x included')
})

void t.test('a forged message of a node is used until the node sends one', async (t) => {
  const cluster = new Cluster()
  const [a, b] = [cluster.start(), cluster.start()]
  b.track('one', 'bob', 1, null)
  await cluster.pass(1)
  a.presence.receive('n2', {
    type: 'part',
    version: 2 ** 40,
    part: 0,
    parts: 1,
    entries: [['one', 'mallory', 'n2.9', null]]
  })
  t.same(a.keys('one'), ['mallory'])
  await cluster.pass(2)
  t.same(a.keys('one'), ['bob'])
})

const node = fc.nat(3)
const connection = fc.nat(2)
const topic = fc.constantFrom(...TOPICS)
const key = fc.constantFrom('a', 'b')
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('track' as const),
      node,
      topic,
      key,
      connection,
      meta: fc.nat(2)
    })
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('untrack' as const), node, topic, key, connection })
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('leave' as const), node, connection }) },
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('deliver' as const),
      node,
      count: fc.integer({ min: 1, max: 5 }),
      lost: fc.boolean()
    })
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('tick' as const), node }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const), node }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cut' as const), node, other: node }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { type: 'start' as const },
      { type: 'heal' as const },
      { type: 'turn' as const },
      { type: 'turn' as const }
    )
  }
)

void t.test('5 s after the last fault all nodes see the entries that exist', async (t) => {
  await t.resolves(fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 120 }), async (steps) => {
      const cluster = new Cluster()
      for (let n = 0; n < 3; n++) cluster.start()
      for (const each of steps) await perform(cluster, each)
      cluster.heal()
      await cluster.pass(5)
      for (const { presence, reported, name } of cluster.nodes.values()) {
        for (const topic of TOPICS) {
          deepStrictEqual(
            presence.of(topic).map(show).sort(),
            union(cluster, topic),
            `${name} sees ${topic}`
          )
        }
        deepStrictEqual(
          [...reported.values()].map(show).sort(),
          TOPICS.flatMap((topic) => union(cluster, topic)).sort(),
          `${name} has got the changes`
        )
      }
    }),
    runs(400)
  ))
})

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

async function perform (cluster: Cluster, step: Step): Promise<void> {
  const nodes = [...cluster.nodes.values()]
  const of = (index: number): Node | undefined => nodes[index % nodes.length]
  switch (step.type) {
    case 'track': return of(step.node)?.track(step.topic, step.key, step.connection, step.meta)
    case 'untrack': return of(step.node)?.untrack(step.topic, step.key, step.connection)
    case 'leave': return of(step.node)?.leave(step.connection)
    case 'deliver': {
      const to = of(step.node)
      if (to !== undefined) cluster.deliver(to, step.count, step.lost)
      return
    }
    case 'tick': return of(step.node)?.presence.tick()
    case 'kill': { const gone = of(step.node); if (gone !== undefined) cluster.kill(gone); return }
    case 'cut': {
      const [a, b] = [of(step.node), of(step.other)]
      if (a !== undefined && b !== undefined && a !== b) cluster.cut(a, b)
      return
    }
    case 'start': if (nodes.length < 5) cluster.start(); return
    case 'heal': return cluster.heal()
    case 'turn': await turn()
  }
}

void t.test('the byte budget of a connection, with replaced and removed entries', async (t) => {
  const presence = new Presence({
    node: 'n',
    hasEngine: false,
    sendToNodes: () => {},
    presenceChanged: () => {},
    presenceIncomplete: () => {}
  })
  const track = (key: string, length: number): void =>
    presence.track('r', key, 'x'.repeat(length), 'n.1', 1_000)
  track('a', 400)
  track('b', 400)
  t.throws(() => track('c', 400), { code: 'FST_WEBSOCK_UNTRACKABLE', message: /maxPresenceBytes/ })
  track('a', 500)
  track('a', 400)
  t.throws(() => track('a', 700), { code: 'FST_WEBSOCK_UNTRACKABLE' })
  presence.track('r', 'a', 'x'.repeat(900), 'n.2', 1_000)
  presence.untrack('r', 'b', 'n.1')
  presence.untrack('r', 'b', 'n.1')
  track('c', 400)
  presence.untrackAll('n.1')
  track('d', 900)
  for (let n = 0; n < 1_500; n++) {
    presence.track('r', `key ${n}`, 'x'.repeat(8_000), `n.${n + 10}`)
  }
  t.equal(presence.of('r').length, 1_502, 'without an engine the node has no total')
})

void t.test('entries of other nodes are bounded, and requested when there is room', async (t) => {
  let incomplete = 0
  const asked: unknown[] = []
  const presence = new Presence({
    node: 'n',
    hasEngine: true,
    sendToNodes: (message) => {
      if (message.type === 'ask') asked.push(message.of)
    },
    presenceChanged: () => {},
    presenceIncomplete: () => { incomplete++ }
  })
  const meta = 'x'.repeat(8_000)
  const sendJoins = (node: string, version: number): void => {
    const joins = Array.from({ length: 100 }, (_, i) => [`t${i}`, `${version}`, `${node}.1`, meta])
    presence.receive(node, { type: 'delta', version, joins, leaves: [] })
  }
  for (let node = 0; node < 20; node++) {
    for (let version = 1; version <= 10; version++) sendJoins(`x${node}`, version)
  }
  const count = Array.from({ length: 100 }, (_, i) => presence.of(`t${i}`).length).reduce(
    (a, b) => a + b
  )
  t.ok(count > 7_500 && count * 8_000 < 64 * 1024 * 1024, `${count} entries of 8 kB`)
  t.ok(incomplete > 0)
  for (let node = 0; node < 5; node++) presence.receive(`x${node}`, { type: 'bye' })
  presence.receive('x19', { type: 'beat', version: 10, hello: false })
  t.same(asked, ['x19'])
})

void t.test('looking up a topic does not get slower with the number of nodes', async (t) => {
  const presence = new Presence({
    node: 'n',
    hasEngine: true,
    sendToNodes: () => {},
    presenceChanged: () => {},
    presenceIncomplete: () => {}
  })
  const sendJoins = (node: string, topic: string): void => {
    presence.receive(node, {
      type: 'delta',
      version: 1,
      joins: [[topic, 'key', `${node}.1`, null]],
      leaves: []
    })
  }
  const lookUp = (): number => {
    const from = performance.now()
    for (let n = 0; n < 20_000; n++) presence.of('r')
    return performance.now() - from
  }
  sendJoins('x', 'r')
  lookUp()
  const alone = Math.min(lookUp(), lookUp())
  for (let n = 0; n < 1_000; n++) sendJoins(`x${n}`, `topic ${n}`)
  const among = Math.min(lookUp(), lookUp())
  t.equal(presence.of('r').length, 1)
  t.equal(presence.of('topic 999').length, 1)
  t.ok(among < 50 * alone, `${among} ms among 1 000 nodes, ${alone} ms with one`)
})
