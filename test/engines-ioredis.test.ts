import t from 'tap'
import { redisEngine } from '../src/pubsub/redis-engine.ts'
import { startRedis } from './helpers/brokers.ts'
import { skipWithout } from './helpers/browser.ts'
import { runConformance } from './helpers/conformance.ts'
import { REDIS_CLIENTS } from './helpers/redis-clients.ts'

const skip = skipWithout('redis-server')

for (const { name, create } of REDIS_CLIENTS.filter(({ name }) => name.startsWith('ioredis'))) {
  for (const sharded of [false, true]) {
    void t.test(`redisEngine with ${name} conforms, ${sharded ? 'sharded' : 'plain'}`, { skip }, async (t) => {
      const broker = await startRedis(t)
      const client = create(broker.port)
      runConformance(t, {
        createEngine: () => redisEngine(client, { sharded }),
        restartBroker: () => broker.restart(),
        freezeBroker: () => broker.freeze(),
        thawBroker: () => broker.thaw()
      })
    })
  }
}
