/** The entry `fastify-websock/metrics`. */
export { websockMetrics, type WebsockMetricsOptions } from './metrics.ts'
