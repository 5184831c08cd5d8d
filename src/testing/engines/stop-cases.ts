import assert from 'node:assert/strict'
import type { EngineCase } from './case.ts'
import { EngineNode, withDeadline, withNodes } from './node.ts'
import { countUp, encode } from './payloads.ts'

/** `start` and `stop`, each called once. */
export const stopCases: readonly EngineCase[] = [
  {
    name: 'a second start rejects, and the engine continues',
    run: (harness) => withNodes(harness, 2, async (publisher, subscriber) => {
      const second = new EngineNode(subscriber.engine)
      await assert.rejects(withDeadline('start', subscriber.engine.start(second)))
      await subscriber.engine.subscribe('topic')
      await publisher.engine.publish('topic', encode([1]))
      await subscriber.until(() => subscriber.received.length === 1, 'a publication')
      assert.deepEqual([second.turns, second.received], [[], []])
    })
  },
  {
    name: 'stop settles pending calls, and the listener is not called after it',
    run: (harness) => withNodes(harness, 3, async (publisher, subscriber, witness) => {
      await Promise.all([
        subscriber.engine.subscribe('stopped'),
        subscriber.engine.subscribe('ended'),
        witness.engine.subscribe('stopped')
      ])
      const noise = countUp(200).map((i) => publisher.engine.publish('stopped', encode([i])))
      const calls = [
        ...countUp(20).map((i) => subscriber.engine.subscribe(`more ${i}`)),
        ...countUp(20).map((i) => subscriber.engine.publish('stopped', encode([1000 + i]))),
        subscriber.engine.unsubscribe('ended')
      ]
      await subscriber.stop()
      const told = [subscriber.received.length, subscriber.turns.length]
      await withDeadline('what was under way', Promise.allSettled(calls))
      await Promise.all(noise)
      await publisher.engine.publish('stopped', encode([-1]))
      await witness.until(
        () => witness.received.some(({ payload }) => Buffer.from(encode([-1])).equals(payload)),
        'the last publication'
      )
      assert.deepEqual([subscriber.received.length, subscriber.turns.length], told)
    })
  },
  {
    name: 'when one engine is stopped the others continue',
    run: (harness) => withNodes(harness, 3, async (publisher, subscriber, stopped) => {
      await stopped.stop()
      await subscriber.engine.subscribe('topic')
      await publisher.engine.publish('topic', encode([2]))
      await subscriber.until(() => subscriber.received.length === 1, 'a publication')
    })
  },
  {
    name: 'stop settles while the broker is gone',
    needs: ['restartBroker'],
    run: (harness) => withNodes(harness, 1, async (node) => {
      let stopped: Promise<void> | undefined
      node.onTurn = (turn) => { if (turn === 'down') stopped = node.stop() }
      await withDeadline('restartBroker', harness.restartBroker?.() ?? Promise.resolve())
      await node.until(() => stopped !== undefined, 'down')
      await withDeadline('stop', stopped ?? Promise.resolve())
      assert.deepEqual(node.turns, ['up', 'down'])
    })
  },
  {
    name: 'stop settles while the broker is frozen',
    needs: ['freezeBroker', 'thawBroker'],
    run: async (harness) => {
      try {
        await withNodes(harness, 1, async (node) => {
          const { engine } = node
          await engine.subscribe('frozen')
          await harness.freezeBroker?.()
          const calls = [
            engine.subscribe('other'),
            engine.unsubscribe('frozen'),
            engine.publish('frozen', encode([1]))
          ]
          await node.stop()
          await withDeadline('what was under way', Promise.allSettled(calls))
        })
      } finally {
        await harness.thawBroker?.()
      }
    }
  }
]
