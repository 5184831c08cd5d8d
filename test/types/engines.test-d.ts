// The engines declare structural types of their own for clients. The types of each client package
// must be assignable to them.
import type { NatsConnection } from '@nats-io/transport-node'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient, createCluster, createSentinel } from 'redis'
import { createClient as createClient5 } from 'redis5'
import type { Engine } from '../../src/index.ts'
import { natsEngine } from '../../src/engines/nats-engine.ts'
import { redisEngine } from '../../src/engines/redis-engine.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'

redisEngine(createClient()) satisfies Engine
redisEngine(createClient({ RESP: 2 }), { sharded: true })
redisEngine(createClient({ RESP: 3, disableOfflineQueue: true }), { prefix: 'app:' })
redisEngine(createClient5())
redisEngine(createClient5({ RESP: 3, clientSideCache: { ttl: 0 } }))
redisEngine(new Redis())
redisEngine(new Redis('redis://localhost', { keyPrefix: 'x' }), {})
redisEngine(new Redis5())
natsEngine({} as NatsConnection) satisfies Engine
natsEngine({} as NatsConnection, { prefix: 'app' })
new MemoryNetwork().createEngine() satisfies Engine

redisEngine(createCluster({ rootNodes: [] }))
redisEngine(createSentinel({ name: 'main', sentinelRootNodes: [] }))
redisEngine(new Cluster([]))
// @ts-expect-error -- a promise of a client
redisEngine(createClient().connect())
// @ts-expect-error -- an address
redisEngine('redis://localhost')
// @ts-expect-error -- no such option
redisEngine(new Redis(), { shards: true })
// @ts-expect-error -- of another engine
natsEngine({} as NatsConnection, { sharded: true })
// @ts-expect-error -- a client of another broker
natsEngine(new Redis())
