import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EngineCase, EngineHarness } from './case.ts'
import { type EngineNode, withDeadline, withNodes } from './node.ts'
import { countUp, decode, encode } from './payloads.ts'

const RESTARTS = 2

/** The broker stops and starts again. */
export const outageCases: readonly EngineCase[] = [
  {
    name: 'the engine calls down and up by turns, each time the broker is killed and restarted',
    needs: ['restartBroker'],
    run: (harness) =>
      withNodes(harness, 2, async (...nodes) => {
        for (const i of countUp(RESTARTS)) {
          await restart(harness)
          for (const node of nodes) {
            await node.until(
              () => node.turns.length > 2 + 2 * i && node.turns.at(-1) === 'up',
              'down and up'
            )
          }
        }
        for (const { turns } of nodes) {
          assert.deepEqual(
            turns,
            turns.map((_, i) => (i % 2 === 0 ? 'up' : 'down'))
          )
        }
      })
  },
  {
    name: 'while the broker is gone, subscribe, unsubscribe and publish reject',
    needs: ['restartBroker'],
    run: (harness) =>
      withNodes(harness, 1, async (node) => {
        await node.engine.subscribe('topic')
        let calls: Array<Promise<void>> = []
        node.onTurn = (turn) => {
          if (turn === 'down') {
            calls = [
              node.engine.subscribe('other'),
              node.engine.unsubscribe('topic'),
              node.engine.publish('topic', encode([1]))
            ]
          }
          for (const call of calls) call.catch(() => {})
        }
        await restart(harness)
        await node.until(() => node.turns.length >= 3, 'down and up')
        const settled = await withDeadline(
          'the calls while the broker was gone',
          Promise.allSettled(calls)
        )
        assert.deepEqual(
          settled.map(({ status }) => status),
          ['rejected', 'rejected', 'rejected']
        )
      })
  },
  {
    name: 'calls that are pending when the broker goes are settled at down',
    needs: ['restartBroker', 'freezeBroker'],
    run: async (harness) =>
      withNodes(harness, 1, async (node) => {
        await node.engine.subscribe('topic')
        // A frozen broker does not answer, and never will: it is killed while frozen.
        await harness.freezeBroker?.()
        const calls = [
          node.engine.subscribe('other'),
          node.engine.unsubscribe('topic'),
          node.engine.publish('topic', encode([1]))
        ]
        const settled = Promise.allSettled(calls)
        await restart(harness)
        await node.until(() => node.turns.length >= 2, 'down')
        await withDeadline('the pending calls', settled)
      })
  },
  {
    name: 'after up only topics that are subscribed again deliver',
    needs: ['restartBroker'],
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        for (const topic of ['old', 'both']) await subscriber.engine.subscribe(topic)
        await restart(harness)
        for (const node of [publisher, subscriber]) {
          await node.until(() => node.turns.length >= 3, 'down and up')
        }
        for (const topic of ['both', 'new']) await subscriber.engine.subscribe(topic)
        for (const topic of ['old', 'both', 'new']) {
          await publisher.engine.publish(topic, encode([1]))
        }
        await subscriber.until(
          () => subscriber.payloadsOn('new').length > 0,
          'a publication on the new topic'
        )
        assert.deepEqual(subscriber.received.map(({ topic }) => topic).sort(), ['both', 'new'])
      })
  },
  {
    name: 'publications during a restart arrive at most once and in order, and all arrive that ' +
      'are published when both engines are up again',
    needs: ['restartBroker'],
    run: runThroughRestarts
  }
]

async function runThroughRestarts (harness: EngineHarness): Promise<void> {
  await withNodes(harness, 2, async (publisher, subscriber) => {
    let wanted: Promise<void> = subscriber.engine.subscribe('through')
    await wanted
    subscriber.onTurn = (turn) => {
      if (turn !== 'up') return
      wanted = subscriber.engine.subscribe('through')
      // The broker may go again before it has confirmed. The next `up` subscribes again.
      wanted.catch(() => {})
    }
    let next = 0
    const publishNext = (): Promise<void> => publisher.engine.publish('through', encode([next++]))
    const over = new AbortController()
    const restarts = (async () => {
      for (const i of countUp(RESTARTS)) {
        await restart(harness)
        for (const node of [publisher, subscriber]) {
          await node.until(
            () => node.turns.length > 2 + 2 * i && node.turns.at(-1) === 'up',
            'down and up'
          )
        }
      }
    })().finally(() => over.abort())
    while (!over.signal.aborted) {
      await Promise.allSettled([publishNext(), publishNext(), publishNext()])
      await nextTurn()
    }
    await restarts
    await withDeadline('subscribe', wanted)
    const firstAfter = next
    await Promise.all(countUp(100).map(publishNext))
    await subscriber.until(
      () => subscriber.received.length > 0 && last(subscriber) === next - 1,
      'the last publication'
    )
    const came = subscriber.received.map(({ payload }) => decode(payload)[0] as number)
    assert.deepEqual(came, [...new Set(came)].sort((a, b) => a - b), 'at most once and in order')
    assert.deepEqual(came.filter((i) => i >= firstAfter), countUp(100).map((i) => i + firstAfter))
  })
}

function last ({ received }: EngineNode): number | undefined {
  const publication = received.at(-1)
  return publication && decode(publication.payload)[0]
}

async function restart (harness: EngineHarness): Promise<void> {
  await withDeadline(
    'restartBroker',
    harness.restartBroker?.() ?? Promise.reject(new Error('the harness has no restartBroker'))
  )
}
