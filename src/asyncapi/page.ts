import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AsyncApiDocument } from './types.ts'

/** The folder of the page's files. The build copies it. */
const FOLDER = join(__dirname, 'page')

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml'
}

/** Serves the page at a prefix, its files below it, and the document at `json` and `yaml`. */
export async function servePage (instance: FastifyInstance, prefix: string): Promise<void> {
  const files = new Map(
    readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')])
  )
  await instance.register(async (app) => {
    const hidden = { schema: { hide: true } }
    app.get('/', hidden, (request, reply) => {
      reply.header('content-security-policy', contentSecurityPolicy(instance.asyncapi()))
      send(
        request,
        reply,
        TYPES['.html'] as string,
        (files.get('index.html') as string)
          .replaceAll('{{base}}', escapeAttribute(baseOf(request.url)))
          .replaceAll('{{prefix}}', escapeAttribute(app.prefix))
      )
    })
    for (const [name, text] of files) {
      if (name === 'index.html') continue
      app.get(`/${name}`, hidden, (request, reply) => {
        send(request, reply, TYPES[extname(name)] ?? 'text/plain; charset=utf-8', text)
      })
    }
    app.get('/json', hidden, (request, reply) => {
      send(request, reply, 'application/json; charset=utf-8', JSON.stringify(instance.asyncapi()))
    })
    app.get('/yaml', hidden, (request, reply) => {
      send(request, reply, 'application/yaml; charset=utf-8', instance.asyncapi({ yaml: true }))
    })
  }, { prefix: prefix.replace(/\/+$/, '') })
}

/**
 * The base URL of the page's files for a request with or without a slash at the end. Relative,
 * because a proxy may serve the app below another path.
 */
function baseOf (url: string): string {
  const [path = ''] = url.split(/[?#]/)
  return path.endsWith('/') ? './' : `./${path.split('/').at(-1) as string}/`
}

function escapeAttribute (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}

/** Sends a body with an ETag. Browsers ask each time, and get 304 when it has not changed. */
function send (request: FastifyRequest, reply: FastifyReply, type: string, body: string): void {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
  reply
    .header('etag', etag)
    .header('cache-control', 'no-cache')
    .header('x-content-type-options', 'nosniff')
  const known = (request.headers['if-none-match'] ?? '')
    .split(/\s*,\s*/)
    .map((tag) => tag.replace(/^W\//, ''))
  if (known.includes(etag) || known.includes('*')) reply.code(304).send()
  else reply.type(type).send(body)
}

/**
 * Allows only scripts and styles of the page's files, and connections only to this server and the
 * document's servers.
 */
function contentSecurityPolicy ({ servers = {} }: AsyncApiDocument): string {
  const hosts = Object.values(servers)
    .filter(({ host, protocol }) => /^[\w.-]+(?::\d+)?$/.test(host) && /^wss?$/.test(protocol))
    .map(({ host, protocol }) => `${protocol}://${host}`)
  return [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    ["connect-src 'self'", ...new Set(hosts)].join(' '),
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"
  ].join('; ')
}
