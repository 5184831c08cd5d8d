import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Counter, Registry } from 'prom-client'
import t from 'tap'
import { METRICS } from '../../src/metrics/descriptions.ts'
import websock from '../../src/index.ts'
import { websockMetrics } from '../../src/metrics/index.ts'
import { connect, refused } from '../helpers/client.ts'
import { until } from '../helpers/differential.ts'
import { buildApp, startServer } from '../helpers/server.ts'
import { MemoryNetwork } from '../../src/testing/engines/index.ts'

void t.test('the registry writes the counts of stats with bounded labels', async (t) => {
  const registry = new Registry()
  const { app, url } = await startServer(t, async (app) => {
    await app.register(websockMetrics, { registry })
    app.get('/rooms/:room', {
      websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push([data, data]) }
    })
  }, { websock: { engine: new MemoryNetwork().createEngine() } })
  const client = await connect(t, url('/rooms/secret?token=secret'))
  client.send('hello')
  await client.next()
  const other = await connect(t, url('/rooms/secret'))
  other.close(4000)
  await refused(url('/rooms/secret'), { origin: 'https://secret.example' })
  await refused(url('/secret'))
  await until(() => app.websock.connections.size === 1 &&
    app.websock.stats().routes['/rooms/:room']?.connections.closing === 0, 'no end')
  const text = await registry.metrics()
  for (const line of [
    '# TYPE websocket_connections gauge',
    'websocket_connections{route="/rooms/:room",state="open"} 1',
    '# TYPE websocket_connections_accepted_total counter',
    'websocket_connections_accepted_total{route="/rooms/:room"} 2',
    'websocket_connections_closed_total{route="/rooms/:room",type="remote",code="4000"} 1',
    'websocket_upgrades_refused_total{route="/rooms/:room",reason="FST_WEBSOCK_ORIGIN_REFUSED"} 1',
    'websocket_upgrades_refused_total{route="",reason="404"} 1',
    'websocket_messages_received_total{route="/rooms/:room"} 1',
    'websocket_messages_sent_total{route="/rooms/:room"} 2',
    'websocket_callbacks_total{route="/rooms/:room",callback="handleIn"} 1',
    'websocket_peers_slow 0',
    'websocket_presence_entries{origin="here"} 0',
    'websocket_engine_ready{engine="memory"} 1'
  ]) t.ok(text.split('\n').includes(line), line)
  t.notMatch(text, /secret/)
  t.match(
    await registry.metrics(),
    /^websocket_messages_sent_total\{[^}]*\} 2$/m,
    'a second scrape does not add the counts again'
  )
})

void t.test('a scrape reads the counts once, and the next one reads new counts', async (t) => {
  const registry = new Registry()
  const { app } = buildApp(t)
  await app.register(websock)
  await app.register(websockMetrics, { registry })
  const { stats } = app.websock
  let calls = 0
  Object.assign(app.websock, { stats: () => { calls++; return stats() } })
  await registry.metrics()
  t.equal(calls, 1)
  await new Promise(setImmediate)
  await registry.metrics()
  t.equal(calls, 2)
})

void t.test('a name that exists is refused, and nothing is registered', async (t) => {
  const registry = new Registry()
  const own = new Counter({ name: 'websocket_sent_bytes_total', help: 'x', registers: [registry] })
  const { app } = buildApp(t)
  await app.register(websock)
  const outcome = app.register(websockMetrics, { registry }).then(() => undefined, (error) => error)
  t.match(
    await outcome,
    { code: 'FST_WEBSOCK_METRIC_EXISTS', message: /websocket_sent_bytes_total/ }
  )
  t.equal(registry.getSingleMetric('websocket_sent_bytes_total'), own)
  t.equal(registry.getMetricsAsArray().length, 1)
})

void t.test('two apps of one process have a prefix each', async (t) => {
  const registry = new Registry()
  const start = async (prefix: string): Promise<Awaited<ReturnType<typeof startServer>>> =>
    startServer(t, async (app) => {
      await app.register(websockMetrics, { registry, prefix })
      app.get('/', { websocketHandler: {} })
    })
  const one = await start('one_')
  await start('two_')
  await connect(t, one.url('/'))
  const text = await registry.metrics()
  t.match(text, /^one_connections\{route="\/",state="open"\} 1$/m)
  t.match(text, /^two_connections\{route="\/",state="open"\} 0$/m)
  await one.app.close()
  t.equal(registry.getMetricsAsArray().length, METRICS.length, 'a closed app removes its metrics')
  t.notMatch(await registry.metrics(), /one_/)
  await start('one_')
})

void t.test('wrong options are refused by name', async (t) => {
  const refusal = async (options: object, plugin = true): Promise<unknown> => {
    const { app } = buildApp(t)
    if (plugin) await app.register(websock)
    return app.register(websockMetrics, options as never).then(
      () => undefined,
      ({ code }: { code: string }) => code
    )
  }
  const registry = new Registry()
  t.equal(await refusal({ registry }, false), 'FST_WEBSOCK_NOT_REGISTERED')
  t.equal(await refusal({}), 'FST_WEBSOCK_INVALID_REGISTRY')
  t.equal(await refusal({ registry: {} }), 'FST_WEBSOCK_INVALID_REGISTRY')
  t.equal(await refusal({ registry, prefix: '9-' }), 'FST_WEBSOCK_INVALID_OPTION')
  t.equal(await refusal({ registry, registers: [] }), 'FST_WEBSOCK_UNKNOWN_OPTION')
  t.equal(await refusal({ registry }), undefined)
})

void t.test('docs/observing.md has each metric with its type and labels, and no other', (t) => {
  const text = readFileSync(join(__dirname, '../../docs/observing.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `websocket_(\w+)` \| (\w+) \| (.*?) ?\|$/gm)]
    .map(([, name, type, labels]) =>
      ({ name, type, labels: [...(labels ?? '').matchAll(/`(\w+)`/g)].map(([, label]) => label) }))
  const byName = (one: { name?: unknown }, other: { name?: unknown }): number =>
    String(one.name) < String(other.name) ? -1 : 1
  t.same(
    rows.sort(byName),
    METRICS.map(({ name, type, labels }) => ({ name, type, labels: [...labels] })).sort(byName)
  )
  for (const { type, name } of METRICS) t.equal(name.endsWith('_total'), type === 'counter', name)
  t.end()
})
