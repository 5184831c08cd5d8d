import assert from 'node:assert/strict'
import type { SystemMessage } from '../../connection/system-message.ts'
import { PubSub } from '../../pubsub/pubsub.ts'
import type { Subscriber } from '../../pubsub/subscriptions.ts'
import type { EngineCase, EngineHarness } from './case.ts'
import { EngineNode, withDeadline } from './node.ts'

/** One who is told of a topic, and writes it down. */
class Ear implements Subscriber<never> {
  readonly group = {}
  readonly heard: unknown[] = []
  readonly news: string[] = []
  #looks: Array<() => void> = []

  constructor (readonly id: string) {}

  offer (info: unknown): boolean {
    this.heard.push(info)
    this.#look()
    return true
  }

  notify ({ type }: SystemMessage): void {
    this.news.push(type)
    this.#look()
  }

  broadcast (): void {}

  /** Resolves when it holds, looking whenever something was heard. */
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
  readonly ear: Ear
  /** Again is as once. */
  readonly stop: () => Promise<void>
}

const NODES = ['nodeone', 'nodetwo']
const TOPIC = 'a topic'

/** What the library makes of an engine: nodes, each with its topics. */
export const nodeCases: readonly EngineCase[] = [
  {
    name: 'on two nodes each subscriber is told once of what either publishes, in the order of each',
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        for (let n = 0; n < 500; n++) {
          for (const { topics } of [one, two]) topics.publish(TOPIC, [topics.node, n])
        }
        for (const { ear } of [one, two]) {
          await ear.until(() => ear.heard.length >= 1000, '1 000 publications')
          for (const node of NODES) {
            assert.deepEqual(
              (ear.heard as Array<[string, number]>)
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
    name: 'who is tracked on one node is present on the other, until its node stops',
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        one.topics.track(TOPIC, 'key', { some: 'meta' })
        await two.ear.until(() => two.ear.news.length === 1, 'news of presence')
        assert.deepEqual(two.topics.presence(TOPIC), [
          { key: 'key', meta: { some: 'meta' }, address: `${one.topics.node}.0` }
        ])
        await one.stop()
        await two.ear.until(() => two.ear.news.length === 2, 'news of presence')
        assert.deepEqual(two.topics.presence(TOPIC), [])
      })
  },
  {
    name: 'bytes of a stranger reach no subscriber',
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
          await two.ear.until(() => two.ear.heard.includes('the end'), 'the end')
          assert.deepEqual(
            [two.ear.heard, two.ear.news, two.topics.presence(TOPIC)],
            [['overheard', 'the end'], [], []]
          )
        } finally {
          await stranger.stop()
        }
      })
  },
  {
    name: 'after the broker has gone and come back, each subscriber is told of a gap, and of what is published then',
    needs: ['restartBroker'],
    run: (harness) =>
      withTopics(harness, async (one, two) => {
        await harness.restartBroker?.()
        for (const { ear } of [one, two]) await ear.until(() => ear.news.includes('gap'), 'a gap')
        one.topics.publish(TOPIC, 'after the gap')
        await two.ear.until(() => two.ear.heard.length === 1, 'a publication')
        assert.deepEqual([one.ear.heard, two.ear.heard], [['after the gap'], ['after the gap']])
      })
  }
]

/**
 * Two nodes on engines of their own, each with one subscriber of the topic, in force; stopped in
 * the end.
 */
async function withTopics (
  harness: EngineHarness,
  run: (one: Node, two: Node) => Promise<void>
): Promise<void> {
  const nodes: Node[] = []
  try {
    for (const node of NODES) {
      const ear = new Ear(`${node}.1`)
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
      nodes.push({ topics, ear, stop: () => (stopped ??= topics.stop()) })
      await topics.start()
      topics.subscribe(TOPIC, ear)
    }
    await withDeadline('ready', allReady(nodes))
    await run(...nodes as [Node, Node])
  } finally {
    await Promise.all(nodes.map(({ stop }) => stop()))
  }
}

/** Nobody tells when: it is looked at in each turn. */
async function allReady (nodes: readonly Node[]): Promise<void> {
  while (!nodes.every(({ topics }) => topics.ready)) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function lostOf ({ topics }: Node): number {
  return topics.stats().engine?.lostPublications ?? 0
}
