import type { FastifyPluginAsync } from 'fastify'
import { websockMetrics } from 'fastify-websock/metrics'
import { collectDefaultMetrics, Registry } from 'prom-client'

/** Serves `GET /metrics` for Prometheus: metrics of the websocket routes and of the process. */
export const metrics: FastifyPluginAsync = async (app) => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  await app.register(websockMetrics, { registry })
  app.get('/metrics', async (_request, reply) => {
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}
