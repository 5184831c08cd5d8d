import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { createCluster, createSentinel } from 'redis'
import { createCluster as createCluster5 } from 'redis5'
import type { redisEngine } from '../../src/engines/redis-engine.ts'

type RedisClient = Parameters<typeof redisEngine>[0]

/** The clients of redis-cluster.test.ts. redis-cluster.hand.test.ts uses the older clients. */
export const NEWEST = /^(redis|ioredis) 6/

/**
 * Functions, by name of the client, that create a client that is not connected and ignores its
 * errors.
 */
export const CLUSTER_CLIENTS: Readonly<Record<string, (ports: readonly number[]) => RedisClient>> =
  {
    'redis 6 cluster': (ports) =>
      createCluster({ rootNodes: nodes(ports).map((socket) => ({ socket })) }).on(
        'error',
        () => {}
      ),
    'redis 5 cluster': (ports) =>
      createCluster5({ rootNodes: nodes(ports).map((socket) => ({ socket })) }).on(
        'error',
        () => {}
      ),
    'ioredis 6 cluster': (ports) =>
      new Cluster(nodes(ports), { lazyConnect: true }).on('error', () => {}),
    'ioredis 5 cluster': (ports) =>
      new Cluster5(nodes(ports), { lazyConnect: true }).on('error', () => {})
  }

export const SENTINEL_CLIENTS: typeof CLUSTER_CLIENTS = {
  'redis 6 sentinel': (ports) =>
    createSentinel({ name: 'main', sentinelRootNodes: nodes(ports) }).on('error', () => {}),
  'ioredis 6 sentinel': (ports) =>
    new Redis({ sentinels: nodes(ports), name: 'main', lazyConnect: true }).on('error', () => {}),
  'ioredis 5 sentinel': (ports) =>
    new Redis5({ sentinels: nodes(ports), name: 'main', lazyConnect: true }).on('error', () => {})
}

function nodes (ports: readonly number[]): Array<{ host: string, port: number }> {
  return ports.map((port) => ({ host: '127.0.0.1', port }))
}
