import type { Engine } from 'fastify-websock'

/** The engine of this process, and the function that closes its client after it. */
export interface Cluster {
  readonly engine: Engine
  readonly close: () => Promise<void>
}

/**
 * Connects to the broker in REDIS_URL or NATS_URL. Undefined without a broker: this process is the
 * only node.
 */
export async function openCluster ({
  REDIS_URL,
  NATS_URL
}: NodeJS.ProcessEnv): Promise<Cluster | undefined> {
  if (REDIS_URL) return openRedis(REDIS_URL)
  if (NATS_URL) return openNats(NATS_URL)
}

// The clients are imported on demand, so that an app without a broker need not install them.

async function openRedis (url: string): Promise<Cluster> {
  const { createClient } = await import('redis')
  const { redisEngine } = await import('fastify-websock/redis')
  // The engine connects its own copies of this client.
  return { engine: redisEngine(createClient({ url })), close: async () => {} }
}

async function openNats (servers: string): Promise<Cluster> {
  const { connect } = await import('@nats-io/transport-node')
  const { natsEngine } = await import('fastify-websock/nats')
  const connection = await connect({ servers, maxReconnectAttempts: -1, waitOnFirstConnect: true })
  return { engine: natsEngine(connection), close: () => connection.close() }
}
