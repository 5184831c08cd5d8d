import type { Engine } from 'fastify-websock'
import { websockMetrics } from 'fastify-websock/metrics'
import { natsEngine } from 'fastify-websock/nats'
import { redisEngine } from 'fastify-websock/redis'
import { connect, drive } from 'fastify-websock/testing'
import { MemoryNetwork } from 'fastify-websock/testing/engines'

export const engine: Engine = new MemoryNetwork().createEngine()
// @ts-expect-error -- not options
export const metrics: Promise<void> = websockMetrics(undefined as never, 1)
// @ts-expect-error -- not a connection
export const nats: Engine = natsEngine(1)
// @ts-expect-error -- not a client
export const redis: Engine = redisEngine(1)
// @ts-expect-error -- not an app
export const client = connect(1, '/')
// @ts-expect-error -- not a route
export const driven = drive(1)
