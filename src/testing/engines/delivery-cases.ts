import assert from 'node:assert/strict'
import type { EngineCase } from './case.ts'
import { type EngineNode, withNodes } from './node.ts'
import { countUp, decode, encode } from './payloads.ts'

const MIB = 1024 * 1024
const MESSAGES = 2_000

/** Each publication arrives, unchanged and in order. */
export const deliveryCases: readonly EngineCase[] = [
  {
    name: 'two publishers on two topics: each subscriber gets each publication once, in the ' +
      'order of its publisher',
    run: (harness) =>
      withNodes(harness, 4, async (first, second, ...subscribers) => {
        const topics = ['order 1', 'order 2']
        await Promise.all(
          subscribers.flatMap(({ engine }) => topics.map((topic) => engine.subscribe(topic)))
        )
        const publish = ({ engine }: EngineNode, publisher: number): Array<Promise<void>> =>
          Array.from({ length: MESSAGES }, (_, i) =>
            engine.publish(topics[i % 2] as string, encode([publisher, i]))
          )
        await Promise.all([first, second].flatMap((node, publisher) => publish(node, publisher)))
        for (const node of subscribers) {
          await node.until(
            () => node.received.length >= 2 * MESSAGES,
            `${2 * MESSAGES} publications, ${node.received.length} came`
          )
          for (const [parity, topic] of topics.entries()) {
            const came = node.payloadsOn(topic).map(decode)
            for (const publisher of [0, 1]) {
              assert.deepEqual(
                came.filter(([from]) => from === publisher).map(([, i]) => i),
                countUp(MESSAGES).filter((i) => i % 2 === parity)
              )
            }
          }
        }
      })
  },
  {
    name: 'a payload of 0 to 256 bytes of any value arrives unchanged',
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        const payloads = [
          Uint8Array.from(countUp(256)),
          ...countUp(257).map((length) => Uint8Array.from(countUp(length), (i) => 255 - i))
        ]
        await carryAll(publisher, subscriber, payloads)
      })
  },
  {
    name: 'a payload may be a view into a larger buffer',
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        const all = Uint8Array.from(countUp(100))
        await carryAll(publisher, subscriber, [
          all.subarray(10, 20),
          Buffer.from(all.buffer, 90, 10)
        ])
      })
  },
  {
    name: 'a payload of maxPayloadBytes, but of at most 1 MiB, arrives unchanged',
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        const { maxPayloadBytes } = publisher.engine
        assert.ok(
          Number.isSafeInteger(maxPayloadBytes) && maxPayloadBytes >= 1024,
          `maxPayloadBytes is ${maxPayloadBytes}`
        )
        const length = Math.min(maxPayloadBytes, MIB)
        const payloads = [0, 1, 2].map((seed) =>
          Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 255)
        )
        await carryAll(publisher, subscriber, payloads)
      })
  },
  {
    name: 'a publisher that has subscribed gets its own publications at most once, and never ' +
      'within publish',
    run: (harness) =>
      withNodes(harness, 2, async (own, other) => {
        await Promise.all([own.engine.subscribe('own'), other.engine.subscribe('own')])
        const published = own.engine.publish('own', Uint8Array.of(1))
        // Awaited below. A case that fails before would otherwise leave an unhandled rejection.
        published.catch(() => {})
        assert.equal(own.received.length + other.received.length, 0)
        await published
        await own.engine.publish('own', Uint8Array.of(2))
        await other.until(() => other.received.length === 2, 'two publications')
        const came = own.received.map(({ payload }) => payload[0])
        assert.deepEqual(came, [...new Set(came)])
      })
  }
]

async function carryAll (
  publisher: EngineNode,
  subscriber: EngineNode,
  payloads: readonly Uint8Array[]
): Promise<void> {
  await subscriber.engine.subscribe('bytes')
  for (const payload of payloads) await publisher.engine.publish('bytes', payload)
  await subscriber.until(
    () => subscriber.received.length >= payloads.length,
    `${payloads.length} publications`
  )
  for (const [i, payload] of payloads.entries()) {
    const came = subscriber.received[i]?.payload
    assert.ok(came instanceof Uint8Array)
    assert.ok(Buffer.from(payload).equals(came), `publication ${i} of ${payload.length} bytes`)
  }
}
