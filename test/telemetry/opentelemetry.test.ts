import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'

const ROOT = join(__dirname, '../..')

/** Follows the recipe of docs/observing.md: an app with one client. Prints its spans as JSON. */
const PROGRAM = `
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import Fastify from 'fastify'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { WebSocket } from 'ws'
import websock from 'fastify-websock'

const app = Fastify()
const otel = new FastifyOtelInstrumentation()
otel.setTracerProvider(provider)
await app.register(otel.plugin())
await app.register(websock)
app.get('/rooms/:room', {
  websocketHandler: {
    async handleIn ({ data }, _state, ws) {
      if (data === 'fail') throw new RangeError('too far')
      await wait(1)
      trace.getTracer('app').startSpan('query').end()
      return ws.push(data)
    },
    terminate () {}
  }
})
await app.listen({ port: 0, host: '127.0.0.1' })
const client = new WebSocket('ws://127.0.0.1:' + app.server.address().port + '/rooms/5')
await once(client, 'open')
client.send('hello')
await once(client, 'message')
client.send('fail')
await once(client, 'close')
await app.close()
console.log(JSON.stringify(exporter.getFinishedSpans().map((span) => ({
  name: span.name,
  id: span.spanContext().spanId,
  trace: span.spanContext().traceId,
  parent: span.parentSpanContext?.spanId,
  links: span.links.map(({ context }) => context.spanId),
  attributes: span.attributes,
  status: span.status.message
}))))
`

interface Span {
  name: string
  id: string
  trace: string
  parent?: string
  links: string[]
  attributes: Record<string, unknown>
  status?: string
}

void t.test('each callback is a root span that is linked to the upgrade', async (t) => {
  const docs = readFileSync(join(ROOT, 'docs/observing.md'), 'utf8')
  const recipe = /<!-- recipe -->\s+```js\n([^]*?)```/.exec(docs)?.[1] ?? ''
  const lines = recipe.trimEnd().split('\n').length
  t.ok(lines > 20 && lines <= 40, `${lines} lines`)
  // In the root folder, where packages are found.
  const file = join(ROOT, `observing-recipe-${process.pid}.mjs`)
  const exported = recipe.replace('/* spanProcessors, resource */',
    'spanProcessors: [new SimpleSpanProcessor(exporter)]')
  t.not(exported, recipe)
  const line = 'const exporter = new InMemorySpanExporter()\n'
  await writeFile(file, exported.replace('export const provider', `${line}export const provider`) +
    PROGRAM)
  t.teardown(() => rm(file))
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
    timeout: 30_000
  })
  const spans = JSON.parse(await text(child.stdout)) as Span[]
  const named = (name: string): Span[] => spans.filter((span) => span.name === name)
  const [request] = named('request')
  const callbacks = spans.filter(({ name }) => name.endsWith(' /rooms/:room'))
  t.same(callbacks.map(({ name }) => name), [
    'init /rooms/:room',
    'handleIn /rooms/:room',
    'handleIn /rooms/:room',
    'terminate /rooms/:room'
  ])
  t.ok(request)
  for (const { parent, links, trace, attributes } of callbacks) {
    t.equal(parent, undefined)
    t.equal(links.length, 1)
    t.not(trace, request?.trace)
    t.ok(spans.some(({ id, trace }) => id === links[0] && trace === request?.trace))
    t.match(attributes, { 'http.route': '/rooms/:room', 'websocket.id': /\.1$/ })
  }
  t.equal(new Set(callbacks.map(({ trace }) => trace)).size, 4)
  const [query] = named('query')
  t.equal(query?.parent, callbacks[1]?.id, 'a span within a callback is its child')
  t.same(callbacks.map(({ status }) => status), [
    undefined, undefined, 'RangeError: too far', undefined
  ])
})
