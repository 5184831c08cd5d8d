import type { Engine } from 'fastify-websock'

/** What makes this process one of several: an engine, and how its client is closed behind it. */
export interface Cluster {
  readonly engine: Engine
  readonly close: () => Promise<void>
}

/**
 * The broker that the environment names: REDIS_URL or NATS_URL. Undefined: this process is all
 * there is.
 */
export async function openCluster ({
  REDIS_URL,
  NATS_URL
}: NodeJS.ProcessEnv): Promise<Cluster | undefined> {
  if (REDIS_URL) return openRedis(REDIS_URL)
  if (NATS_URL) return openNats(NATS_URL)
}

// The clients are imported here, because who has no broker need not have them.

async function openRedis (url: string): Promise<Cluster> {
  const { createClient } = await import('redis')
  const { redisEngine } = await import('fastify-websock/redis')
  // The engine connects clients of its own, like this one.
  return { engine: redisEngine(createClient({ url })), close: async () => {} }
}

async function openNats (servers: string): Promise<Cluster> {
  const { connect } = await import('@nats-io/transport-node')
  const { natsEngine } = await import('fastify-websock/nats')
  const connection = await connect({ servers, maxReconnectAttempts: -1, waitOnFirstConnect: true })
  return { engine: natsEngine(connection), close: () => connection.close() }
}
