import assert from 'node:assert/strict'
import { setTimeout as later } from 'node:timers/promises'
import { redisEngine, type RedisEngineOptions } from '../../src/engines/redis-engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { decode, encode } from '../../src/testing/engines/payloads.ts'
import type { Test } from 'tap'
import { skipWithout } from './browser.ts'
import { startRedisCluster, startSentinels } from './redis-cluster.ts'
import { CLUSTER_CLIENTS, SENTINEL_CLIENTS } from './redis-topologies.ts'
import type { Teardown } from './server.ts'

const TOPICS = Array.from({ length: 12 }, (_, n) => `topic ${n}`)
const PERIOD_MS = 20

const skip = skipWithout('redis-server')
const timeout = 280_000

/**
 * Tests fail-over in a cluster of three masters with a replica each. `names` selects the clients.
 * Runs plain and sharded by default.
 */
export function testClusterFailOver (
  t: Test,
  names: RegExp,
  modes: readonly boolean[] = [false, true]
): void {
  void t.test(
    'publications continue when a master of a Redis Cluster is killed and replaced',
    { skip, timeout },
    async (t) => {
      const cluster = await startRedisCluster(t)
      for (const [name, create] of Object.entries(CLUSTER_CLIENTS).filter(([name]) =>
        names.test(name)
      )) {
        for (const sharded of modes) {
          await t.test(`${name}, ${sharded ? 'sharded' : 'plain'}`, async (t) => {
            const nodes = await publishThrough(t, create(cluster.ports), { sharded }, async () => {
              const dead = await cluster.failOver()
              await dead.start()
              await cluster.untilUp()
            })
            // In sharded mode each engine is connected to each master. In plain mode it may be
            // connected to another master.
            if (sharded) {
              for (const { turns } of nodes) t.ok(turns.includes('down'), 'it is down meanwhile')
            }
          })
        }
      }
    }
  )
}

/** Tests fail-over of a master with a replica and a sentinel. */
export function testSentinelFailOver (t: Test, names: RegExp): void {
  void t.test(
    'publications continue when a Redis master is killed and a sentinel replaces it',
    { skip, timeout },
    async (t) => {
      for (const [name, create] of Object.entries(SENTINEL_CLIENTS).filter(([name]) =>
        names.test(name)
      )) {
        await t.test(name, async (t) => {
          const sentinels = await startSentinels(t)
          const nodes = await publishThrough(t, create([sentinels.sentinel.port]), {}, () =>
            sentinels.failOver()
          )
          for (const { turns } of nodes) t.ok(turns.includes('down'), 'it is down meanwhile')
        })
      }
    }
  )
}

/**
 * Publishes on many topics without a pause while `happen` runs. Asserts that publications arrive in
 * order and at most once, and that all arrive that are published after both engines are up again.
 */
export async function publishThrough (
  t: Teardown,
  client: Parameters<typeof redisEngine>[0],
  options: RedisEngineOptions,
  happen: () => Promise<unknown>
): Promise<EngineNode[]> {
  const nodes = [0, 1].map(() => new EngineNode(redisEngine(client, options)))
  const [publisher, subscriber] = nodes as [EngineNode, EngineNode]
  for (const node of nodes) {
    t.teardown(() => node.stop())
    await node.engine.start(node)
    await node.until(() => node.turns.length > 0, 'up')
  }
  await subscribeAll(subscriber)
  let next = 0
  const publish = (): Array<Promise<void>> => {
    const n = next++
    return TOPICS.map((topic) => publisher.engine.publish(topic, encode([n])))
  }
  const over = new AbortController()
  const happened = happen().finally(() => over.abort())
  while (!over.signal.aborted) {
    await Promise.race([Promise.allSettled(publish()), later(1_000)])
    await later(PERIOD_MS)
  }
  await happened
  // The broker may still be changing, and the engines may go down again. So repeat until a whole
  // round has arrived.
  for (;;) {
    await subscribeAll(subscriber)
    await publisher.until(() => publisher.turns.at(-1) === 'up', 'up')
    const round = next
    const settled = await Promise.allSettled(publish())
    const arrived =
      settled.every(({ status }) => status === 'fulfilled') &&
      (await Promise.race([
        subscriber
          .until(
            () =>
              TOPICS.every((topic) =>
                subscriber.payloadsOn(topic).some((payload) => decode(payload)[0] === round)
              ),
            `round ${round}`
          )
          .then(
            () => true,
            () => false
          ),
        later(2_000, false)
      ]))
    if (arrived) break
  }
  const firstAfter = next
  for (let n = 0; n < 50; n++) await Promise.all(publish())
  await subscriber.until(
    () =>
      TOPICS.every(
        (topic) => decode(subscriber.payloadsOn(topic).at(-1) ?? encode([-1]))[0] === next - 1
      ),
    'the last publications'
  )
  for (const topic of TOPICS) {
    const received = subscriber.payloadsOn(topic).map((payload) => decode(payload)[0] as number)
    assert.deepEqual(
      received,
      [...new Set(received)].sort((a, b) => a - b),
      'at most once and in order'
    )
    assert.deepEqual(
      received.filter((n) => n >= firstAfter),
      Array.from({ length: next - firstAfter }, (_, i) => firstAfter + i)
    )
  }
  return nodes
}

async function subscribeAll (node: EngineNode): Promise<void> {
  for (;;) {
    await node.until(() => node.turns.at(-1) === 'up', 'up')
    try {
      await Promise.all(TOPICS.map((topic) => node.engine.subscribe(topic)))
      return
    } catch {
      await later(100)
    }
  }
}
