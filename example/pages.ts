import { readdirSync, readFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml'
}

// The client is one file without imports, so pages can load it directly.
const CLIENT = join(
  dirname(require.resolve('fastify-websock/package.json')),
  'dist/client/index.mjs'
)

const SOURCES = [
  'chat.ts',
  'connection-timer/connection-timer.ts',
  'gossip/README.md',
  'gossip/gossip.ts',
  'gossip/protocol.ts'
]

/**
 * Serves the pages. The files are read once, so a request cannot reach a file outside their folder.
 */
export const pages: FastifyPluginAsync<{ folder: string }> = async (app, { folder }) => {
  const files = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]))
  const serve = (url: string, name: string): void => {
    app.get(url, (_request, reply) => {
      reply
        .header('content-security-policy', "default-src 'self'")
        .header('x-content-type-options', 'nosniff')
        .type(TYPES[extname(name)] ?? 'application/octet-stream')
        .send(files.get(name))
    })
  }
  files.set('client.js', readFileSync(CLIENT))
  for (const name of files.keys()) serve(`/pages/${name}`, name)
  // The source code of the examples.
  for (const name of SOURCES) {
    const source = readFileSync(join(folder, '..', name))
    app.get(`/code/${name}`, (_request, reply) => {
      reply
        .header('x-content-type-options', 'nosniff')
        .type('text/plain; charset=utf-8')
        .send(source)
    })
  }
  serve('/', 'index.html')
  serve('/connection-timer', 'connection-timer.html')
  serve('/chat', 'chat.html')
  serve('/gossip', 'gossip.html')
}
