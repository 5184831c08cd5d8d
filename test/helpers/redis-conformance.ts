import t from 'tap'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { startRedis } from './brokers.ts'
import { skipWithout } from './browser.ts'
import { runConformance } from './conformance.ts'
import { forkEngines } from './engine-process.ts'
import { REDIS_CLIENTS } from './redis-clients.ts'

/** The suite over both versions of one client package, plain and sharded. */
export function testRedisEngine (packageName: 'redis' | 'ioredis'): void {
  for (const { name, create } of REDIS_CLIENTS.filter(({ name }) => name.startsWith(packageName))) {
    for (const sharded of [false, true]) {
      void t.test(`redisEngine with ${name} conforms, ${sharded ? 'sharded' : 'plain'}`, { skip: skipWithout('redis-server') }, async (t) => {
        const broker = await startRedis(t)
        const client = create(broker.port)
        runConformance(t, {
          createEngine: () => redisEngine(client, { sharded }),
          restartBroker: () => broker.restart(),
          freezeBroker: () => broker.freeze(),
          thawBroker: () => broker.thaw(),
          engineProcess: forkEngines(t, name, broker.port, sharded ? 'sharded' : 'plain')
        })
      })
    }
  }
}
