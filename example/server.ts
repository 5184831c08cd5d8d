import { join } from 'node:path'
import Fastify from 'fastify'
import websock from 'fastify-websock'
import { chat } from './chat.ts'
import { connectionTimer } from './connection-timer/connection-timer.ts'
import { echo } from './echo.ts'
import { pages } from './pages.ts'

async function main (): Promise<void> {
  // A name or room of 64 characters, some of them two code units long.
  const app = Fastify({ logger: { level: 'warn' }, routerOptions: { maxParamLength: 128 } })
  await app.register(websock)
  await app.register(connectionTimer)
  await app.register(echo)
  await app.register(chat)
  // This file is compiled into a folder of its own.
  await app.register(pages, { folder: join(__dirname, '..', 'pages') })

  const at = await app.listen({ host: process.env['HOST'] ?? '127.0.0.1', port: Number(process.env['PORT'] ?? 3000) })
  const ws = at.replace(/^http/, 'ws')
  console.log(`Open ${at}/ in a browser: it says what is here.

  ${at}/connection-timer
  ${at}/chat
  ${ws}/ws/connection_timer/NAME?everyMs=15000
  ${ws}/ws/chat/ROOM?nick=NICK
  ${ws}/ws/echo
`)

  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void app.close() })
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
