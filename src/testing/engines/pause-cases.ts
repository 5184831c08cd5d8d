import assert from 'node:assert/strict'
import type { Engine } from '../../pubsub/engine.ts'
import type { EngineCase, EngineHarness } from './case.ts'
import { type EngineNode, withDeadline, withNodes } from './node.ts'
import { countUp, decode, encode } from './payloads.ts'
import { RemoteEngine } from './process.ts'

const TOPIC = 'through a pause'
/**
 * Of each publisher, published before, from there on while one stands still, from there on after,
 * and in all.
 */
const [STILL, AFTER, ALL] = [50, 250, 350]
/** With these, more than the buffers of most connections hold: the rest waits at the broker. */
const STILL_BYTES = 8 * 1024

/** A node stands still, as a process that is stopped or a machine that sleeps, and goes on. */
export const pauseCases: readonly EngineCase[] = [
  {
    name: 'a node that stands still gets what is published meanwhile when it goes on, once and in order, all of it unless it is told down, and all that is published then',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, still, ...publishers) => {
        await still.engine.subscribe(TOPIC)
        await publish(publishers, 0, STILL)
        await whileStill(remote, () => publish(publishers, STILL, AFTER))
        await still.until(
          () => still.received.length >= publishers.length * AFTER || still.turns.includes('down'),
          'all that was published meanwhile, or down'
        )
        await subscribeAnew(still)
        await publish(publishers, AFTER, ALL)
        await assertCame(still, [0, 1], still.turns.includes('down') ? AFTER : 0)
      })
  },
  {
    name: 'while a node stands still the others subscribe, publish, are told and unsubscribe',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, still, one, two) => {
        await still.engine.subscribe(TOPIC)
        await whileStill(remote, async () => {
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
    name: 'what a node publishes as it stands still, and after, comes to the others once and in order, all of it unless it is told down',
    needs: ['engineProcess'],
    run: (harness) =>
      withRemote(harness, async (remote, still, one, two) => {
        for (const { engine } of [one, two]) await engine.subscribe(TOPIC)
        const underWay = Promise.allSettled(startToPublish([still], 0, STILL))
        await one.until(() => one.received.length > 0, 'the first publication')
        let waiting: typeof underWay | undefined
        await whileStill(remote, async () => {
          // It finds these when it goes on.
          waiting = Promise.allSettled(startToPublish([still], STILL, AFTER))
          await publish([one, two], 0, ALL, 'another topic')
        })
        const settled = await withDeadline('publish', Promise.all([underWay, waiting]))
        await subscribeAnew(still)
        await publish([still], AFTER, ALL)
        const isDown = still.turns.includes('down')
        for (const node of [one, two]) await assertCame(node, [0], isDown ? AFTER : 0)
        assert.ok(
          isDown || settled.flat().every((call) => call?.status === 'fulfilled'),
          'publish resolves'
        )
      })
  },
  {
    name: 'a node that stands still while the broker is killed and restarted is told of it when it goes on, and gets all that is published then',
    needs: ['engineProcess', 'restartBroker'],
    run: (harness) =>
      withRemote(harness, async (remote, still, ...publishers) => {
        await still.engine.subscribe(TOPIC)
        await publish(publishers, 0, STILL)
        await whileStill(remote, async () => {
          await withDeadline('restartBroker', harness.restartBroker?.() ?? Promise.resolve())
          for (const node of publishers) {
            await node.until(
              () => node.turns.length > 2 && node.turns.at(-1) === 'up',
              'down and up'
            )
          }
          await publish(publishers, STILL, AFTER)
        })
        await still.until(() => still.turns.length > 2, 'down and up')
        await subscribeAnew(still)
        await publish(publishers, AFTER, ALL)
        await assertCame(still, [0, 1], AFTER)
        assert.deepEqual(
          still.turns,
          still.turns.map((_, i) => (i % 2 === 0 ? 'up' : 'down'))
        )
      })
  }
]

/** The first of three nodes has its engine in another process, which goes on by the end. */
async function withRemote (
  harness: EngineHarness,
  run: (remote: RemoteEngine, still: EngineNode, one: EngineNode, two: EngineNode) => Promise<void>
): Promise<void> {
  assert.ok(harness.engineProcess !== undefined)
  const remote = new RemoteEngine(harness.engineProcess)
  const created: Engine[] = [remote]
  const createEngine = (): Engine | Promise<Engine> => created.pop() ?? harness.createEngine()
  await withNodes({ createEngine }, 3, (still, one, two) =>
    run(remote, still as EngineNode, one as EngineNode, two as EngineNode)
  )
}

/**
 * The pause is over when it has run, and what was asked of the one that stands still in it is
 * answered only then.
 */
async function whileStill (remote: RemoteEngine, run: () => Promise<void>): Promise<void> {
  let isAnswered = false
  remote.standStill()
  const answered = remote.unsubscribe('never').catch(() => {}).finally(() => { isAnswered = true })
  try {
    await run()
    assert.ok(!isAnswered, 'engineProcess is the process that has the engine, and stands still')
  } finally {
    remote.goOn()
  }
  await withDeadline('an answer of the one that goes on', answered)
}

/**
 * Each of the nodes publishes its numbers, those in the pause with many bytes. Resolves when all
 * are confirmed.
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
  if (n < STILL || n >= AFTER) return payload
  const long = new Uint8Array(STILL_BYTES).fill(0x20)
  long.set(payload)
  return long
}

/**
 * The broker may have let go of a node that stood still, and the node not know it yet: until it has
 * confirmed something, all may change.
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

/** Of each publisher at most once and in order, and from a number on all. */
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
