import assert from 'node:assert/strict'
import type { EngineCase } from './case.ts'
import { type EngineNode, withNodes } from './node.ts'
import { countUp, decode, encode } from './payloads.ts'

const MAX_TOPIC_LENGTH = 1_040

/** Usual topics, and pairs of topics that a careless encoding would merge. */
const TOPICS: readonly string[] = [
  'plain',
  'room 5',
  'room+5',
  'room%205',
  'room_5',
  'room=205',
  ' ',
  '  ',
  'a.b',
  'a..b',
  '.a',
  'a.',
  'a%2Eb',
  'a.*',
  'a.>',
  '*',
  '>',
  '**',
  '?',
  '[a]',
  '[ab]',
  '{a}',
  '{a}b',
  'line\nend',
  'line\r\nend',
  'tab\tstop',
  '\0',
  'a\0b',
  'a',
  'A',
  '/',
  'a/b',
  ':',
  'a:b',
  '$SYS',
  '$SYS.>',
  '_INBOX.a',
  '__proto__',
  'constructor',
  '"',
  "'",
  '\\',
  '\\n',
  'é',
  'e\u0301',
  'É',
  'ß',
  'ss',
  'ſ',
  'я',
  '日本',
  '😀',
  '😁',
  '\u200b',
  '\ufeff',
  '\ufeffa',
  '\uffff',
  'sha256',
  'sha256.a',
  ...['x', '\u00e9', '日', '.', ' '].flatMap((character) => [
    character.repeat(MAX_TOPIC_LENGTH),
    character.repeat(MAX_TOPIC_LENGTH - 1),
    character.repeat(MAX_TOPIC_LENGTH - 1) + 'y'
  ]),
  '😀'.repeat(MAX_TOPIC_LENGTH / 2),
  '😀'.repeat(MAX_TOPIC_LENGTH / 2 - 1) + '😁'
]

/** Which topics deliver to which subscriber, and from when until when. */
export const subscriptionCases: readonly EngineCase[] = [
  {
    name: 'topics of any characters, up to 1 040 of them, are distinct',
    run: (harness) => withNodes(harness, 3, async (publisher, odd, even) => {
      await Promise.all(
        TOPICS.map((topic, i) => (i % 2 === 1 ? odd : even).engine.subscribe(topic))
      )
      await Promise.all(TOPICS.map((topic, i) => publisher.engine.publish(topic, encode([i]))))
      for (const [parity, node] of [even, odd].entries()) {
        const expected = countUp(TOPICS.length).filter((i) => i % 2 === parity)
        await node.until(
          () => node.received.length >= expected.length,
            `${expected.length} publications`
        )
        assert.deepEqual(
          node.received.map(({ topic, payload }) => [topic, decode(payload)[0]]).sort(byNumber),
          expected.map((i) => [TOPICS[i], i])
        )
      }
    })
  },
  {
    name: 'no publication arrives on a topic that is not subscribed',
    run: (harness) => withNodes(harness, 2, async (publisher, subscriber) => {
      await subscriber.engine.subscribe('wanted')
      await publisher.engine.publish('unwanted', encode([1]))
      await assertCame(publisher, subscriber, 'wanted')
    })
  },
  {
    name: 'a topic that is subscribed twice delivers once, and one unsubscribe ends it',
    run: (harness) => withNodes(harness, 2, async (from, to) => {
      await to.engine.subscribe('twice')
      await to.engine.subscribe('twice')
      await to.engine.subscribe('marker')
      await from.engine.publish('twice', encode([1]))
      await assertCame(from, to, 'marker', 'twice')
      await to.engine.unsubscribe('twice')
      await from.engine.publish('twice', encode([2]))
      await assertCame(from, to, 'marker', 'twice', 'marker')
    })
  },
  {
    name: 'unsubscribe of a topic that is not subscribed does nothing',
    run: (harness) => withNodes(harness, 2, async (publisher, subscriber) => {
      const { engine } = subscriber
      await engine.subscribe('kept')
      await engine.unsubscribe('never')
      await engine.unsubscribe('never')
      await assertCame(publisher, subscriber, 'kept')
      assert.deepEqual(subscriber.turns, ['up'])
    })
  },
  {
    name: '1 000 topics are subscribed at once, and each gets its own publication',
    run: (harness) => withNodes(harness, 2, async (from, to) => {
      const topics = countUp(1_000).map((i) => `topic ${i}`)
      await Promise.all(topics.map((topic) => to.engine.subscribe(topic)))
      await Promise.all(topics.map((topic, i) => from.engine.publish(topic, encode([i]))))
      await to.until(() => to.received.length >= topics.length, '1 000 publications')
      assert.deepEqual(
        to.received.map(({ topic, payload }) => [topic, decode(payload)[0]]).sort(byNumber),
        topics.map((topic, i) => [topic, i])
      )
      await Promise.all(topics.map((topic) => to.engine.unsubscribe(topic)))
    })
  },
  {
    name: 'after many alternating calls of subscribe and unsubscribe, on many topics at once, ' +
      'the last call decides',
    run: (harness) => withNodes(harness, 2, async (from, to) => {
      const topics = countUp(20).map((i) => `turning ${i}`)
      const noise = async (topic: string): Promise<void> => {
        for (const i of countUp(20)) await from.engine.publish(topic, encode([i]))
      }
      await Promise.all(topics.flatMap((topic, i) => [turn(to, topic, 20 + i % 2), noise(topic)]))
      to.received.length = 0
      await Promise.all(topics.map((topic) => from.engine.publish(topic, encode([-1]))))
      await to.engine.subscribe('marker')
      await from.engine.publish('marker', encode([-1]))
      const expected = ['marker', ...topics.filter((_, i) => i % 2 === 0)]
      await to.until(
        () => expected.every((topic) => to.payloadsOn(topic).length > 0),
        'all topics whose last turn was subscribe'
      )
      assert.deepEqual(
        to.received
          .filter(({ payload }) => decode(payload)[0] === -1)
          .map(({ topic }) => topic)
          .sort(),
        expected.sort()
      )
    })
  }
]

/**
 * Alternates subscribe and unsubscribe, each after the last call has settled. Makes `count` + 1
 * calls, so that the last one is a subscribe when `count` is even.
 */
async function turn ({ engine }: EngineNode, topic: string, count: number): Promise<void> {
  for (const i of countUp(count + 1)) {
    await (i % 2 === 0 ? engine.subscribe(topic) : engine.unsubscribe(topic))
  }
}

/**
 * Publishes on the first of these topics, then asserts that exactly these topics have delivered,
 * one publication each.
 */
async function assertCame (
  publisher: EngineNode,
  subscriber: EngineNode,
  ...topics: readonly [string, ...string[]]
): Promise<void> {
  await publisher.engine.publish(topics[0], encode([0]))
  await subscriber.until(() => subscriber.received.length >= topics.length, topics.join(', '))
  assert.deepEqual(subscriber.received.map(({ topic }) => topic).sort(), [...topics].sort())
}

function byNumber ([, a]: readonly unknown[], [, b]: readonly unknown[]): number {
  return (a as number) - (b as number)
}
