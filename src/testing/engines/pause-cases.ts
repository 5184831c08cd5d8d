import assert from 'node:assert/strict'
import type { Engine } from '../../pubsub/engine.ts'
import type { EngineCase, EngineHarness } from './case.ts'
import { type EngineNode, withDeadline, withNodes } from './node.ts'
import { countUp, decode, encode } from './payloads.ts'
import { RemoteEngine } from './process.ts'

const TOPIC = 'through a pause'
/**
 * The numbers that each publisher publishes: 0 to PAUSED - 1 before the pause, up to AFTER - 1 in
 * it, up to ALL - 1 after it.
 */
const [PAUSED, AFTER, ALL] = [50, 250, 350]
/**
 * The bytes of a payload in the pause. Together they exceed the buffers of most connections, so
 * that the rest waits at the broker.
 */
const PAUSED_BYTES = 8 * 1024

/** A node is paused, like a stopped process or a sleeping machine, and continues. */
export const pauseCases: readonly EngineCase[] = [
  {
    name: 'a paused node gets the publications of the pause after it, once and in order, all of ' +
      'them unless the engine calls down, and all later publications',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, paused, ...publishers) => {
        await paused.engine.subscribe(TOPIC)
        await publish(publishers, 0, PAUSED)
        await whilePaused(remote, () => publish(publishers, PAUSED, AFTER))
        await paused.until(
          () =>
            paused.received.length >= publishers.length * AFTER || paused.turns.includes('down'),
          'all publications of the pause, or down'
        )
        await subscribeAnew(paused)
        await publish(publishers, AFTER, ALL)
        await assertCame(paused, [0, 1], paused.turns.includes('down') ? AFTER : 0)
      })
  },
  {
    name: 'while a node is paused the others subscribe, publish, receive and unsubscribe',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, paused, one, two) => {
        await paused.engine.subscribe(TOPIC)
        await whilePaused(remote, async () => {
          await withDeadline(
            'subscribe',
            Promise.all([one, two].map(({ engine }) => engine.subscribe(TOPIC)))
          )
          await publish([one, two], 0, ALL)
          for (const [publisher, node] of [two, one].entries()) {
            await assertCame(node, [publisher], 0)
          }
          await withDeadline(
            'unsubscribe',
            Promise.all([one, two].map(({ engine }) => engine.unsubscribe(TOPIC)))
          )
        })
      })
  },
  {
    name: 'what a node publishes before, during and after its pause reaches the others once and ' +
      'in order, all of it unless the engine calls down',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, paused, one, two) => {
        for (const { engine } of [one, two]) await engine.subscribe(TOPIC)
        const underWay = Promise.allSettled(startToPublish([paused], 0, PAUSED))
        await one.until(() => one.received.length > 0, 'the first publication')
        let waiting: typeof underWay | undefined
        await whilePaused(remote, async () => {
          // The process gets these calls when it continues.
          waiting = Promise.allSettled(startToPublish([paused], PAUSED, AFTER))
          await publish([one, two], 0, ALL, 'another topic')
        })
        const settled = await withDeadline('publish', Promise.all([underWay, waiting]))
        await subscribeAnew(paused)
        await publish([paused], AFTER, ALL)
        const isDown = paused.turns.includes('down')
        for (const node of [one, two]) await assertCame(node, [0], isDown ? AFTER : 0)
        assert.ok(
          isDown || settled.flat().every((call) => call?.status === 'fulfilled'),
          'publish resolves'
        )
      })
  },
  {
    name: 'a node that is paused while the broker restarts gets down and up after the pause, and ' +
      'all later publications',
    needs: ['engineProcess', 'restartBroker'],
    run: (harness) =>
      withRemote(harness, async (remote, paused, ...publishers) => {
        await paused.engine.subscribe(TOPIC)
        await publish(publishers, 0, PAUSED)
        await whilePaused(remote, async () => {
          await withDeadline('restartBroker', harness.restartBroker?.() ?? Promise.resolve())
          for (const node of publishers) {
            await node.until(
              () => node.turns.length > 2 && node.turns.at(-1) === 'up',
              'down and up'
            )
          }
          await publish(publishers, PAUSED, AFTER)
        })
        await paused.until(() => paused.turns.length > 2, 'down and up')
        await subscribeAnew(paused)
        await publish(publishers, AFTER, ALL)
        await assertCame(paused, [0, 1], AFTER)
        assert.deepEqual(
          paused.turns,
          paused.turns.map((_, i) => (i % 2 === 0 ? 'up' : 'down'))
        )
      })
  }
]

/** Runs three nodes. The first has its engine in another process, which `run` may pause. */
async function withRemote (
  harness: EngineHarness,
  run: (remote: RemoteEngine, paused: EngineNode, one: EngineNode, two: EngineNode) => Promise<void>
): Promise<void> {
  assert.ok(harness.engineProcess !== undefined)
  const remote = new RemoteEngine(harness.engineProcess)
  const created: Engine[] = [remote]
  const createEngine = (): Engine | Promise<Engine> => created.pop() ?? harness.createEngine()
  await withNodes({ createEngine }, 3, (paused, one, two) =>
    run(remote, paused as EngineNode, one as EngineNode, two as EngineNode)
  )
}

/**
 * Pauses the engine's process while `run` runs. Asserts that a call in the pause is answered only
 * after it.
 */
async function whilePaused (remote: RemoteEngine, run: () => Promise<void>): Promise<void> {
  let isAnswered = false
  remote.pause()
  const answered = remote.unsubscribe('never').catch(() => {}).finally(() => { isAnswered = true })
  try {
    await run()
    assert.ok(!isAnswered, 'engineProcess must be the process of the engine, and must be paused')
  } finally {
    remote.resume()
  }
  await withDeadline('an answer of the process that continues', answered)
}

/**
 * Publishes numbers on each node, those of the pause with large payloads. Resolves when all
 * publications are confirmed.
 */
async function publish (
  nodes: readonly EngineNode[],
  from: number,
  to: number,
  topic = TOPIC
): Promise<void> {
  await withDeadline('publish', Promise.all(startToPublish(nodes, from, to, topic)))
}

function startToPublish (
  nodes: readonly EngineNode[],
  from: number,
  to: number,
  topic = TOPIC
): Array<Promise<void>> {
  return nodes.flatMap(({ engine }, publisher) =>
    countUp(to - from).map((i) => engine.publish(topic, payloadOf(publisher, from + i)))
  )
}

function payloadOf (publisher: number, n: number): Uint8Array {
  const payload = encode([publisher, n])
  if (n < PAUSED || n >= AFTER) return payload
  const long = new Uint8Array(PAUSED_BYTES).fill(0x20)
  long.set(payload)
  return long
}

/**
 * Subscribes again. The broker may have closed the connection of a paused node, and the node may
 * not know it yet. So an answer of the broker comes first: the subscription of another topic.
 */
async function subscribeAnew (node: EngineNode): Promise<void> {
  for (;;) {
    await node.until(() => node.turns.at(-1) === 'up', 'up')
    const { length } = node.turns
    try {
      for (const topic of ['something', TOPIC]) {
        await withDeadline('subscribe', node.engine.subscribe(topic))
      }
      return
    } catch (error) {
      await node.until(
        () => node.turns.length > length,
        `down, as subscribe was rejected: ${error}`
      )
    }
  }
}

/**
 * Asserts that the numbers of each publisher arrived at most once and in order, and from
 * `wholeFrom` on all of them.
 */
async function assertCame (
  node: EngineNode,
  publishers: readonly number[],
  wholeFrom: number
): Promise<void> {
  const lasts = publishers.map((publisher) => payloadOf(publisher, ALL - 1))
  await node.until(
    () =>
      lasts.every((last) =>
        node.received.findLast(({ payload }) => Buffer.from(last).equals(payload))
      ),
    'the last publications'
  )
  for (const publisher of publishers) {
    const came = node
      .payloadsOn(TOPIC)
      .map(decode)
      .filter(([from]) => from === publisher)
      .map(([, n]) => n as number)
    assert.deepEqual(came, [...new Set(came)].sort((a, b) => a - b), 'at most once and in order')
    assert.deepEqual(came.filter((n) => n >= wholeFrom), countUp(ALL).slice(wholeFrom))
  }
}
