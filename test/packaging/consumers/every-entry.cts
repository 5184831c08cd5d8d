import type { Engine } from 'fastify-websock'
import { natsEngine } from 'fastify-websock/nats'
import { redisEngine } from 'fastify-websock/redis'
import { MemoryNetwork } from 'fastify-websock/testing/engines'

export const engine: Engine = new MemoryNetwork().createEngine()
// @ts-expect-error -- not a connection
export const nats: Engine = natsEngine(1)
// @ts-expect-error -- not a client
export const redis: Engine = redisEngine(1)
