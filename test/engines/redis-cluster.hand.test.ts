import t from 'tap'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { skipWithout } from '../helpers/browser.ts'
import { runConformance } from '../helpers/conformance.ts'
import { testClusterFailOver, testSentinelFailOver } from '../helpers/fail-over.ts'
import { startRedisCluster, startSentinels } from '../helpers/redis-cluster.ts'
import { CLUSTER_CLIENTS, SENTINEL_CLIENTS } from '../helpers/redis-topologies.ts'

testClusterFailOver(t, / 5 /)
testSentinelFailOver(t, / 5 /)

for (const [name, create] of Object.entries(CLUSTER_CLIENTS)) {
  for (const sharded of [false, true]) {
    void t.test(
      `redisEngine with ${name} conforms, ${sharded ? 'sharded' : 'plain'}`,
      { skip: skipWithout('redis-server'), timeout: 600_000 },
      async (t) => {
        const cluster = await startRedisCluster(t)
        runConformance(t, {
          createEngine: () => redisEngine(create(cluster.ports), { sharded }),
          restartBroker: () => cluster.restart(),
          freezeBroker: () => cluster.freeze(),
          thawBroker: () => cluster.thaw(),
          allowOnly: (topic) =>
            cluster.ask('ACL', 'SETUSER', 'default', 'resetchannels', `&websock:${topic}`),
          allowAll: () => cluster.ask('ACL', 'SETUSER', 'default', 'allchannels')
        })
      }
    )
  }
}

for (const [name, create] of Object.entries(SENTINEL_CLIENTS)) {
  void t.test(
    `redisEngine with ${name} conforms`,
    { skip: skipWithout('redis-server'), timeout: 600_000 },
    async (t) => {
      const sentinels = await startSentinels(t)
      runConformance(t, {
        createEngine: () => redisEngine(create([sentinels.sentinel.port])),
        restartBroker: () => sentinels.restart(),
        freezeBroker: () => sentinels.freeze(),
        thawBroker: () => sentinels.thaw(),
        // Sentinels use the same user. When they lose this channel, they report the master as
        // disconnected, and `redis` finds no master.
        allowOnly: (topic) => sentinels.ask(
          t, 'ACL', 'SETUSER', 'default', 'resetchannels', `&websock:${topic}`,
          '&__sentinel__:hello'
        ),
        allowAll: () => sentinels.ask(t, 'ACL', 'SETUSER', 'default', 'allchannels')
      })
    }
  )
}
