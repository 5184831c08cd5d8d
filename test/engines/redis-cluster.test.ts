import t from 'tap'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { EngineNode } from '../../src/testing/engines/node.ts'
import { createRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { testClusterFailOver, testSentinelFailOver } from '../helpers/fail-over.ts'
import { CLUSTER_CLIENTS, NEWEST, SENTINEL_CLIENTS } from '../helpers/redis-topologies.ts'
import { LONG } from '../helpers/scale.ts'

// Each test has its own brokers, and mostly waits.
t.jobs = 3

// `npm test` runs one client of each kind, plain.
testClusterFailOver(t, LONG ? NEWEST : /^redis 6/, LONG ? [false, true] : [false])
testSentinelFailOver(t, LONG ? NEWEST : /^ioredis 6/)

void t.test(
  'a cluster or sentinel that cannot be found is reported as down, with the reason',
  { skip: skipWithout('redis-server') },
  async (t) => {
    const { port } = await createRedis(t)
    await Promise.all(
      Object.entries({ ...CLUSTER_CLIENTS, ...SENTINEL_CLIENTS }).map(async ([name, create]) => {
        const node = new EngineNode(redisEngine(create([port])))
        t.teardown(() => node.stop())
        await node.engine.start(node)
        await node.until(() => node.turns.length > 0, `down of ${name}`)
        t.same(node.turns, ['down'], name)
        t.ok(node.reasons[0], name)
        await node.stop()
      })
    )
  }
)
