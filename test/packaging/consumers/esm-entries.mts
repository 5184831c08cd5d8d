import Fastify from 'fastify'
import websock, { type Engine } from 'fastify-websock'
import { asyncapi, type AsyncApiDocument } from 'fastify-websock/asyncapi'
import { websockMetrics, type WebsockMetricsOptions } from 'fastify-websock/metrics'
import { natsEngine, type NatsConnection } from 'fastify-websock/nats'
import { redisEngine, type IoredisClient, type NodeRedisClient } from 'fastify-websock/redis'
import { connect, drive } from 'fastify-websock/testing'
import {
  engineConformance,
  MemoryNetwork,
  skipReason,
  type EngineHarness
} from 'fastify-websock/testing/engines'
import { Registry } from 'prom-client'
import { exchange } from './exchange.cjs'

const network = new MemoryNetwork()
const harness: EngineHarness = { createEngine: () => network.createEngine() }
const runnable = engineConformance.filter((each) => skipReason(each, harness) === false)
for (const { run } of runnable) await run(harness)

const engine: Engine = network.createEngine()
const app = Fastify()
await app.register(websock, { engine })
await app.register(asyncapi, { info: { title: 'Packed' }, routePrefix: '/docs' })
const metrics: WebsockMetricsOptions = { registry: new Registry(), prefix: 'ws_' }
await app.register(websockMetrics, metrics)
void (app.websock.stats().routes satisfies object)
// @ts-expect-error -- no such option
void (() => app.register(websockMetrics, { register: metrics.registry }))
// @ts-expect-error -- no such option
void (() => app.register(asyncapi, { title: 'Packed' }))
app.get('/echo', {
  schema: { websocket: { receive: websock.typed<string>(), send: websock.typed<string>() } },
  websocketHandler: { handleIn: (message, _state, ws) => ws.push(message.toUpperCase()) }
})
// @ts-expect-error -- no such option
void (() => redisEngine(undefined as unknown as NodeRedisClient | IoredisClient, { shard: true }))
// @ts-expect-error -- not a connection
void (() => natsEngine({}) satisfies Engine)
void (undefined as NatsConnection | undefined)
app.addHook('onReady', async () => {
  const document: AsyncApiDocument = app.asyncapi()
  if (
    document.channels['echo'] === undefined
    || !app.asyncapi({ yaml: true }).startsWith('asyncapi: ')
  )
    throw new Error('the document is incomplete')
})
const driven = await drive({ websocketHandler: { handleIn: () => {} } }, { codec: 'raw' })
await driven.app.close()
if (typeof connect !== 'function' || driven.end?.type !== 'shutdown')
  throw new Error('the test kit is incomplete')
if (runnable.length < 10) throw new Error('the suite is incomplete')
await exchange(app)
