import Fastify = require('fastify')
import websock = require('fastify-websock')
import api = require('fastify-websock/asyncapi')
import metrics = require('fastify-websock/metrics')
import nats = require('fastify-websock/nats')
import redis = require('fastify-websock/redis')
import testing = require('fastify-websock/testing/engines')
import prometheus = require('prom-client')
import { exchange } from './exchange.cjs'

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(websock, { engine: new testing.MemoryNetwork().createEngine() })
  await app.register(api.asyncapi)
  await app.register(metrics.websockMetrics, { registry: new prometheus.Registry() })
  app.get('/echo', {
    schema: { websocket: { receive: websock.typed<string>(), send: websock.typed<string>() } },
    websocketHandler: { handleIn: (message, _state, ws) => ws.push(message.toUpperCase()) }
  })
  for (const create of [redis.redisEngine, nats.natsEngine]) {
    try {
      create({} as never)
      throw new Error('a wrong client was accepted')
    } catch (error) {
      if ((error as { code?: string }).code !== 'FST_WEBSOCK_INVALID_CLIENT') throw error
    }
  }
  await exchange(app)
}

void main()
