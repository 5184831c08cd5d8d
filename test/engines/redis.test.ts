import t from 'tap'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { startRedis } from '../helpers/brokers.ts'
import { skipWithout } from '../helpers/browser.ts'
import { runConformance } from '../helpers/conformance.ts'
import { forkEngines } from '../helpers/engine-process.ts'
import { connectAdmin, REDIS_CLIENTS } from '../helpers/redis-clients.ts'
import { LONG } from '../helpers/scale.ts'

/** `npm test` runs one client of each package, in one mode each. The long run runs all eight. */
const QUICK = ['redis 6, plain', 'ioredis 6, sharded']

// Each test has its own broker, and mostly waits.
t.jobs = 4

for (const { name, create } of REDIS_CLIENTS) {
  for (const sharded of [false, true]) {
    const mode = sharded ? 'sharded' : 'plain'
    if (!LONG && !QUICK.includes(`${name}, ${mode}`)) continue
    void t.test(
      `redisEngine with ${name} conforms, ${mode}`,
      { skip: skipWithout('redis-server') },
      async (t) => {
        const broker = await startRedis(t)
        const client = create(broker.port)
        const admin = async (...command: string[]): Promise<void> => {
          await (await connectAdmin(t, broker.port)).ask(...command)
        }
        runConformance(t, {
          createEngine: () => redisEngine(client, { sharded }),
          restartBroker: () => broker.restart(),
          freezeBroker: () => broker.freeze(),
          thawBroker: () => broker.thaw(),
          allowOnly: (topic) =>
            admin('ACL', 'SETUSER', 'default', 'resetchannels', `&websock:${topic}`),
          allowAll: () => admin('ACL', 'SETUSER', 'default', 'allchannels'),
          engineProcess: forkEngines(t, name, broker.port, mode)
        })
      }
    )
  }
}
