import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import Fastify from 'fastify'
import websock from 'fastify-websock'
import { redisEngine } from 'fastify-websock/redis'
import { createClient } from 'redis'
import { chat } from './chat.ts'
import { pages } from './pages.ts'

// Runs one chat on two processes: `npm run two-nodes`, with a Redis at REDIS_URL
// (redis://127.0.0.1:6379).

/** Starts a node: the same chat as in a single process, with an engine. */
async function startNode (port: number): Promise<void> {
  const app = Fastify({ logger: { level: 'warn' }, routerOptions: { maxParamLength: 128 } })
  const url = process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379'
  await app.register(websock, { engine: redisEngine(createClient({ url })) })
  await app.register(chat)
  await app.register(pages, { folder: join(__dirname, '..', 'pages') })
  app.get('/healthz', (_request, reply) => reply.code(app.websock.ready() ? 200 : 503).send())

  const at = await app.listen({ host: '127.0.0.1', port })
  console.log(`node ${process.pid}: ${at}/chat`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void app.close()
    })
  }
}

async function main (): Promise<void> {
  const port = process.argv[2]
  if (port !== undefined) return startNode(Number(port))
  const nodes = (process.env['PORTS'] ?? '3001,3002')
    .split(',')
    .map((each) => fork(__filename, [each]))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const node of nodes) node.kill(signal)
    })
  }
  await Promise.all(nodes.map((node) => once(node, 'exit')))
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
