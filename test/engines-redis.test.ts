import { Redis as Ioredis } from 'ioredis'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import t from 'tap'
import { redisEngine } from '../src/pubsub/redis-engine.ts'
import { startRedis } from './helpers/brokers.ts'
import { skipWithout } from './helpers/browser.ts'
import { runConformance } from './helpers/conformance.ts'

const skip = skipWithout('redis-server')
const reconnectMs = 50

/** A client of each kind, which tells its errors to nobody. */
const CLIENTS = {
  'redis 6': (port: number) => createClient({ socket: { port, reconnectStrategy: reconnectMs } }).on('error', () => {}),
  'redis 5': (port: number) => createClient5({ socket: { port, reconnectStrategy: reconnectMs } }).on('error', () => {}),
  ioredis: (port: number) => new Ioredis(port, { lazyConnect: true, retryStrategy: () => reconnectMs }).on('error', () => {})
}

for (const [name, create] of Object.entries(CLIENTS)) {
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
