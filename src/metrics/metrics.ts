import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Counter, Gauge, type Registry } from 'prom-client'
import {
  FST_WEBSOCK_INVALID_OPTION,
  FST_WEBSOCK_INVALID_REGISTRY,
  FST_WEBSOCK_METRIC_EXISTS,
  FST_WEBSOCK_NOT_REGISTERED,
  FST_WEBSOCK_UNKNOWN_OPTION
} from '../errors.ts'
import type { WebsockStats } from '../telemetry/stats.ts'
import { METRICS, type Metric } from './descriptions.ts'

export interface WebsockMetricsOptions {
  /** The registry of the application, such as `register` of prom-client. */
  readonly registry: Registry
  /** Prefix of the names: letters, digits and `_`. Default `websocket_`. */
  readonly prefix?: string
}

const OPTIONS = ['registry', 'prefix']
// Options of `register` that Fastify itself uses.
const FASTIFY_OPTIONS = ['logLevel', 'logSerializers']

/**
 * A Fastify plugin that registers the counts of `app.websock.stats()` as prom-client metrics. Each
 * scrape reads them, and `app.close()` removes them from the registry.
 *
 * Throws FST_WEBSOCK_METRIC_EXISTS, and registers nothing, when the registry already has one of the
 * names.
 */
export const websockMetrics = fp(register, { fastify: '5.x', name: 'fastify-websock-metrics' })

async function register (app: FastifyInstance, options: WebsockMetricsOptions): Promise<void> {
  const { registry, prefix } = check(options)
  if (!app.hasDecorator('websock')) throw new FST_WEBSOCK_NOT_REGISTERED('of metrics')
  const names = METRICS.map(({ name }) => prefix + name)
  const taken = names.find((name) => registry.getSingleMetric(name) !== undefined)
  if (taken !== undefined) throw new FST_WEBSOCK_METRIC_EXISTS(taken)
  const stats = oncePerTurn(() => app.websock.stats())
  for (const metric of METRICS) create(metric, registry, prefix, stats)
  app.addHook('onClose', async () => {
    for (const name of names) registry.removeSingleMetric(name)
  })
}

function create (
  { type, name, help, labels, read }: Metric,
  registry: Registry,
  prefix: string,
  stats: () => WebsockStats
): void {
  const description = {
    name: prefix + name,
    help,
    labelNames: [...labels],
    registers: [registry]
  }
  const collect = (metric: Counter | Gauge): void => {
    metric.reset()
    for (const [value, ...labelValues] of read(stats())) {
      const given = labels.map((label, i) => [label, labelValues[i] ?? ''])
      metric.inc(Object.fromEntries(given) as Record<string, string>, value)
    }
  }
  // prom-client calls `collect` with the metric as `this`.
  if (type === 'counter') {
    void new Counter({ ...description, collect () { collect(this) } })
  } else void new Gauge({ ...description, collect () { collect(this) } })
}

/**
 * Caches the result of `build` for one turn of the event loop: all metrics of a scrape use the same
 * `stats()`.
 */
function oncePerTurn<Value> (build: () => Value): () => Value {
  let built: Value | undefined
  return () => {
    if (built === undefined) {
      built = build()
      setImmediate(() => { built = undefined })
    }
    return built
  }
}

function check (given: WebsockMetricsOptions): { registry: Registry, prefix: string } {
  const { registry, prefix = 'websocket_' } = given as { registry?: unknown, prefix?: unknown }
  const known = [...OPTIONS, ...FASTIFY_OPTIONS]
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new FST_WEBSOCK_UNKNOWN_OPTION(unknown, 'of websockMetrics', OPTIONS.join(', '))
  }
  if (typeof prefix !== 'string' || !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(prefix)) {
    throw new FST_WEBSOCK_INVALID_OPTION(
      '`prefix` of websockMetrics', 'letters, digits and _', JSON.stringify(prefix)
    )
  }
  if (!isRegistry(registry)) throw new FST_WEBSOCK_INVALID_REGISTRY(typeof registry)
  return { registry, prefix }
}

/** Tells whether a value is a registry, perhaps of another copy of prom-client. */
function isRegistry (value: unknown): value is Registry {
  const methods = ['registerMetric', 'getSingleMetric', 'removeSingleMetric', 'metrics']
  return typeof value === 'object' && value !== null &&
    methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}
