import t from 'tap'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { startRedis } from './brokers.ts'
import { skipWithout } from './browser.ts'
import { runConformance } from './conformance.ts'
import { forkEngines } from './engine-process.ts'
import { connectAdmin, REDIS_CLIENTS } from './redis-clients.ts'

/** The suite over both versions of one client package, plain and sharded. */
export function testRedisEngine (packageName: 'redis' | 'ioredis'): void {
  // Each has a broker of its own, and most of its time it waits.
  t.jobs = 4
  for (const { name, create } of REDIS_CLIENTS.filter(({ name }) => name.startsWith(packageName))) {
    for (const sharded of [false, true]) {
      void t.test(`redisEngine with ${name} conforms, ${sharded ? 'sharded' : 'plain'}`, { skip: skipWithout('redis-server') }, async (t) => {
        const broker = await startRedis(t)
        const client = create(broker.port)
        const admin = async (...command: string[]): Promise<void> => { await (await connectAdmin(t, broker.port)).ask(...command) }
        runConformance(t, {
          createEngine: () => redisEngine(client, { sharded }),
          restartBroker: () => broker.restart(),
          freezeBroker: () => broker.freeze(),
          thawBroker: () => broker.thaw(),
          allowOnly: (topic) => admin('ACL', 'SETUSER', 'default', 'resetchannels', `&websock:${topic}`),
          allowAll: () => admin('ACL', 'SETUSER', 'default', 'allchannels'),
          engineProcess: forkEngines(t, name, broker.port, sharded ? 'sharded' : 'plain')
        })
      })
    }
  }
}
