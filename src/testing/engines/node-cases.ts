import assert from 'node:assert/strict'
import type { SystemMessage } from '../../connection/system-message.ts'
import { PubSub } from '../../pubsub/pubsub.ts'
import type { Subscriber } from '../../pubsub/subscriptions.ts'
import type { EngineCase, EngineHarness } from './case.ts'
import { EngineNode, withDeadline } from './node.ts'

/** A subscriber that records what it receives. */
class Recorder implements Subscriber<never> {
  readonly group = {}
  readonly infos: unknown[] = []
  readonly notifications: string[] = []
  #looks: Array<() => void> = []

  constructor (readonly id: string) {}

  offer (info: unknown): boolean {
    this.infos.push(info)
    this.#look()
    return true
  }

  notify ({ type }: SystemMessage): void {
    this.notifications.push(type)
    this.#look()
  }

  broadcast (): void {}

  /** Resolves when the condition is true. Checks it after each call of the library. */
  async until (condition: () => boolean, words: string): Promise<void> {
    if (condition()) return
    await withDeadline(words, new Promise<void>((resolve) => {
      this.#looks.push(() => { if (condition()) resolve() })
    }))
  }

  #look (): void {
    for (const look of this.#looks) look()
  }
}

interface Node {
  readonly topics: PubSub<never>
  readonly recorder: Recorder
  /** Idempotent. */
  readonly stop: () => Promise<void>
}

const NODES = ['nodeone', 'nodetwo']
const TOPIC = 'a topic'

/** The library on an engine: nodes, each with its topics. */
export const nodeCases: readonly EngineCase[] = [
  {
    name: 'subscribers on two nodes get each publication of both nodes once, in the order of its ' +
      'node',
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        for (let n = 0; n < 500; n++) {
          for (const { topics } of [one, two]) topics.publish(TOPIC, [topics.node, n])
        }
        for (const { recorder } of [one, two]) {
          await recorder.until(() => recorder.infos.length >= 1000, '1 000 publications')
          for (const node of NODES) {
            assert.deepEqual(
              (recorder.infos as Array<[string, number]>)
                .filter(([from]) => from === node)
                .map(([, n]) => n),
              Array.from({ length: 500 }, (_, n) => n)
            )
          }
        }
        assert.equal(lostOf(one) + lostOf(two), 0)
      })
  },
  {
    name: 'an entry tracked on one node is present on the other node until the first node stops',
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        one.topics.track(TOPIC, 'key', { some: 'meta' })
        await two.recorder.until(
          () => two.recorder.notifications.length === 1,
          'a presence notification'
        )
        assert.deepEqual(two.topics.presence(TOPIC), [
          { key: 'key', meta: { some: 'meta' }, address: `${one.topics.node}.0` }
        ])
        await one.stop()
        await two.recorder.until(
          () => two.recorder.notifications.length === 2,
          'a presence notification'
        )
        assert.deepEqual(two.topics.presence(TOPIC), [])
      })
  },
  {
    name: 'bytes of a foreign publisher reach no subscriber',
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        const stranger = new EngineNode(await harness.createEngine())
        try {
          await stranger.engine.start(stranger)
          await stranger.until(() => stranger.turns.length > 0, 'up')
          const named = `t:${TOPIC}`
          await stranger.engine.subscribe(named)
          one.topics.publish(TOPIC, 'overheard')
          await stranger.until(() => stranger.received.length === 1, 'a publication')
          const [real] = stranger.payloadsOn(named) as [Uint8Array]
          const hostile = [
            ...Array.from({ length: real.length }, (_, length) => real.slice(0, length)),
            ...Array.from({ length: 500 }, (_, seed) =>
              Uint8Array.from(
                { length: seed % 50 },
                (_, i) => ((seed * 2_654_435_761) >>> (i % 24)) & 255
              )
            )
          ]
          for (const topic of [named, 'p', `n:${two.topics.node}`]) {
            for (const bytes of hostile) await stranger.engine.publish(topic, bytes)
          }
          one.topics.publish(TOPIC, 'the end')
          await two.recorder.until(() => two.recorder.infos.includes('the end'), 'the end')
          assert.deepEqual(
            [two.recorder.infos, two.recorder.notifications, two.topics.presence(TOPIC)],
            [['overheard', 'the end'], [], []]
          )
        } finally {
          await stranger.stop()
        }
      })
  },
  {
    name: 'after a restart of the broker each subscriber gets a gap, and then later publications',
    needs: ['restartBroker'],
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        await harness.restartBroker?.()
        for (const { recorder } of [one, two]) {
          await recorder.until(() => recorder.notifications.includes('gap'), 'a gap')
        }
        one.topics.publish(TOPIC, 'after the gap')
        await two.recorder.until(() => two.recorder.infos.length === 1, 'a publication')
        assert.deepEqual(
          [one.recorder.infos, two.recorder.infos],
          [['after the gap'], ['after the gap']]
        )
      })
  }
]

/**
 * Starts two nodes with an engine each, and one subscriber of the topic on each node. Calls `run`
 * when the subscriptions are ready, and stops the nodes.
 */
async function withTopics (
  harness: EngineHarness,
  run: (one: Node, two: Node) => Promise<void>
): Promise<void> {
  const nodes: Node[] = []
  try {
    for (const node of NODES) {
      const recorder = new Recorder(`${node}.1`)
      const log = {
        error: () => {},
        warn: () => {},
        info: () => {},
        debug: () => {},
        trace: () => {}
      }
      const topics = new PubSub<never>({
        node,
        find: () => undefined,
        engine: await harness.createEngine(),
        log
      })
      let stopped: Promise<void> | undefined
      nodes.push({ topics, recorder, stop: () => (stopped ??= topics.stop()) })
      await topics.start()
      topics.subscribe(TOPIC, recorder)
    }
    await withDeadline('ready', allReady(nodes))
    await run(...nodes as [Node, Node])
  } finally {
    await Promise.all(nodes.map(({ stop }) => stop()))
  }
}

/** Checks in each turn, because the library has no event for `ready`. */
async function allReady (nodes: readonly Node[]): Promise<void> {
  while (!nodes.every(({ topics }) => topics.ready)) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function lostOf ({ topics }: Node): number {
  return topics.stats().engine?.lostPublications ?? 0
}
