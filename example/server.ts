import { join } from 'node:path'
import Fastify from 'fastify'
import websock from 'fastify-websock'
import { asyncapi } from 'fastify-websock/asyncapi'
import { chat } from './chat.ts'
import { connectionTimer } from './connection-timer/connection-timer.ts'
import { echo } from './echo.ts'
import { openCluster } from './engine.ts'
import { gossip } from './gossip/gossip.ts'
import { DEMO_GAMES, readGames } from './gossip/known-games.ts'
import { metrics } from './metrics.ts'
import { pages } from './pages.ts'
import { stream } from './stream.ts'

const { GOSSIP_GAMES, GOSSIP_HEARTBEAT_MS, GOSSIP_ADMIN_TOKEN } = process.env

async function main (): Promise<void> {
  // A name or a room has up to 64 characters, and a character up to two code units.
  const app = Fastify({ logger: { level: 'warn' }, routerOptions: { maxParamLength: 128 } })
  const cluster = await openCluster(process.env)
  await app.register(websock, { ...(cluster && { engine: cluster.engine }) })
  app.addHook('onClose', async () => cluster?.close())
  await app.register(asyncapi, {
    info: {
      title: 'The example server of fastify-websock',
      version: '0.2.0',
      description:
        'A connection timer, a chat, Gossip (a network of games), an echo and a stream of tokens.'
    },
    tags: [
      { name: 'demo', description: 'Small examples' },
      { name: 'gossip', description: 'A network of games' }
    ],
    routePrefix: '/docs'
  })
  await app.register(metrics)
  await app.register(connectionTimer)
  await app.register(echo)
  await app.register(chat)
  await app.register(stream)
  await app.register(gossip, {
    games: GOSSIP_GAMES ? readGames(GOSSIP_GAMES) : DEMO_GAMES,
    heartbeatMs: Number(GOSSIP_HEARTBEAT_MS || 15_000),
    // An empty token would let anybody in.
    adminToken: GOSSIP_ADMIN_TOKEN || undefined
  })
  // For the page, which connects as one of the demo games.
  app.get('/gossip/demo-games', async () => (GOSSIP_GAMES ? [] : DEMO_GAMES))
  // `__dirname` is example/dist.
  await app.register(pages, { folder: join(__dirname, '..', 'pages') })

  const at = await app.listen({
    host: process.env['HOST'] ?? '127.0.0.1',
    port: Number(process.env['PORT'] ?? 3000)
  })
  const ws = at.replace(/^http/, 'ws')
  console.log(`Open ${at}/ in a browser: it lists the examples.

  ${at}/connection-timer
  ${at}/chat
  ${at}/gossip
  ${at}/docs
  ${ws}/ws/connection_timer/NAME?everyMs=15000
  ${ws}/ws/chat/ROOM?nick=NICK
  ${ws}/ws/echo
  ${ws}/ws/stream
  ${ws}/socket
`)
  if (!GOSSIP_GAMES) {
    console.log("Gossip's demo games:\n")
    for (const game of DEMO_GAMES) {
      console.log(
        `  ${game.short_name}  client_id ${game.client_id}  client_secret ${game.client_secret}`
      )
    }
  }

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void app.close()
    })
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
