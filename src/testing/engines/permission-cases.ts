import assert from 'node:assert/strict'
import type { EngineCase } from './case.ts'
import { type EngineNode, withDeadline, withNodes } from './node.ts'
import { decode, encode } from './payloads.ts'

/** The broker refuses some topics. */
export const permissionCases: readonly EngineCase[] = [
  {
    name: 'subscribe and publish reject for topics that the broker refuses, and for no others',
    needs: ['allowOnly', 'allowAll'],
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        try {
          await harness.allowOnly?.('allowed')
          const settled = await withDeadline(
            'subscribe',
            Promise.allSettled(
              ['refused', 'allowed', 'refused too'].map((topic) =>
                subscriber.engine.subscribe(topic)
              )
            )
          )
          assert.deepEqual(
            settled.map(({ status }) => status),
            ['rejected', 'fulfilled', 'rejected']
          )
          await assert.rejects(
            withDeadline('publish', publisher.engine.publish('refused', encode([1])))
          )
          await publisher.engine.publish('allowed', encode([2]))
          await subscriber.until(() => subscriber.received.length > 0, 'a publication')
        } finally {
          await harness.allowAll?.()
        }
        await subscribeAnew(subscriber, 'refused')
        await publisher.engine.publish('refused', encode([3]))
        await subscriber.until(() => subscriber.received.length > 1, 'a publication')
        assert.deepEqual(
          subscriber.received.map(({ payload }) => decode(payload)),
          [[2], [3]]
        )
      })
  },
  {
    name: 'the engine calls dropped or down when a permission is withdrawn, and subscribe ' +
      'rejects until the permission is back',
    needs: ['allowOnly', 'allowAll'],
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        for (const topic of ['kept', 'withdrawn']) await subscriber.engine.subscribe(topic)
        try {
          await harness.allowOnly?.('kept')
          await subscriber.until(
            () =>
              subscriber.droppedTopics.includes('withdrawn') || subscriber.turns.includes('down'),
            'dropped or down'
          )
          await subscribeAnew(subscriber, 'kept')
          await assert.rejects(withDeadline('subscribe', subscriber.engine.subscribe('withdrawn')))
        } finally {
          await harness.allowAll?.()
        }
        await subscribeAnew(subscriber, 'withdrawn')
        await publisher.until(() => publisher.turns.at(-1) === 'up', 'up')
        for (const topic of ['kept', 'withdrawn']) {
          await publisher.engine.publish(topic, encode([1]))
        }
        await subscriber.until(() => subscriber.received.length > 1, 'two publications')
        // Sorted, because the order of a publisher is only guaranteed within a topic.
        assert.deepEqual(subscriber.received.map(({ topic }) => topic).sort(), [
          'kept',
          'withdrawn'
        ])
      })
  }
]

/**
 * Subscribes again. A broker that withdraws a permission may end the connection, and the engine may
 * not know it yet.
 */
async function subscribeAnew (node: EngineNode, topic: string): Promise<void> {
  for (;;) {
    await node.until(() => node.turns.at(-1) === 'up', 'up')
    const { length } = node.turns
    try {
      return await withDeadline('subscribe', node.engine.subscribe(topic))
    } catch (error) {
      await node.until(
        () => node.turns.length > length,
        `down, as subscribe was rejected: ${String(error)}`
      )
    }
  }
}
