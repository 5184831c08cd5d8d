import assert from 'node:assert/strict'
import type { EngineCase } from './case.ts'
import { withDeadline, withNodes } from './node.ts'
import { decode, encode } from './payloads.ts'

const TOPIC = 'through silence'
/** The library promises to notice a silent broker within this time. */
const NOTICED_MS = 10_000
/** The most time between the signal and the moment when the broker is frozen. */
const TOLERANCE_MS = 250

/** The broker does not answer while its connections stay open. */
export const silenceCases: readonly EngineCase[] = [
  {
    name: 'the engine calls down within 10 s after the broker freezes, with the time of its ' +
      'silence, and up when the broker continues',
    needs: ['freezeBroker', 'thawBroker'],
    run: (harness) =>
      withNodes(harness, 2, async (publisher, subscriber) => {
        await subscriber.engine.subscribe(TOPIC)
        await harness.freezeBroker?.()
        const frozenAt = performance.now()
        const silences: number[] = []
        for (const node of [publisher, subscriber]) {
          node.onTurn = (turn) => {
            if (turn === 'down') silences.push(performance.now() - frozenAt)
          }
        }
        const published = Promise.allSettled([publisher.engine.publish(TOPIC, encode([1]))])
        try {
          for (const node of [publisher, subscriber]) {
            await node.until(() => node.turns.length > 1, 'down')
          }
          assert.ok(
            Math.max(...silences) <= NOTICED_MS,
            `told after ${silences.map(Math.round).join(' and ')} ms`
          )
          for (const {
            silentMs: [ms = 0]
          } of [publisher, subscriber]) {
            assert.ok(
              ms >= Math.min(...silences) - TOLERANCE_MS,
              `silent for ${ms} ms, after ${silences.map(Math.round).join(' and ')} ms`
            )
          }
          assert.equal((await withDeadline('publish', published))[0]?.status, 'rejected')
        } finally {
          await harness.thawBroker?.()
        }
        for (const node of [publisher, subscriber]) {
          await node.until(() => node.turns.at(-1) === 'up', 'up')
        }
        await subscriber.engine.subscribe(TOPIC)
        await publisher.engine.publish(TOPIC, encode([2]))
        await subscriber.until(() => subscriber.received.length > 0, 'a publication')
        assert.deepEqual(
          subscriber.received.map(({ payload }) => decode(payload)),
          [[2]]
        )
      })
  }
]
