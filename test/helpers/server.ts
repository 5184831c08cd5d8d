import { Writable } from 'node:stream'
import type { AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  type RawServerDefault
} from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import websock, { type WebsockOptions } from '../../src/index.ts'

export interface Teardown {
  teardown: (handler: () => unknown) => void
}

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export interface LogLine {
  level: number
  msg: string
  err?: { type: string, message: string, code?: string, stack?: string }
  callback?: string
  websocket?: string
  route?: string
  [key: string]: unknown
}

export interface TestServer {
  app: App
  port: number
  /** A ws: URL of this server. */
  url: (path: string) => string
  /** An http: URL of this server. */
  http: (path: string) => string
  /** The logged lines, at `level` and above. Default: warn. */
  logs: LogLine[]
}

export interface ServerOptions {
  websock?: WebsockOptions
  fastify?: FastifyServerOptions
  level?: string
}

/** Starts a server with the plugin on a free port of 127.0.0.1. It is closed when the test ends. */
export async function startServer (
  t: Teardown,
  routes: (app: App) => void | Promise<void>,
  options: ServerOptions = {}
): Promise<TestServer> {
  const { app, logs } = buildApp(t, options)
  await app.register(websock, options.websock ?? {})
  await routes(app)
  return { logs, ...await listen(app) }
}

/** Builds a Fastify instance with captured logs, without the plugin. */
export function buildApp (t: Teardown, options: ServerOptions = {}): { app: App, logs: LogLine[] } {
  const logs: LogLine[] = []
  const stream = new Writable({
    write (chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split('\n')) logs.push(JSON.parse(line) as LogLine)
      done()
    }
  })
  const app = Fastify({
    logger: { level: options.level ?? 'warn', stream },
    ...options.fastify
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as App
  t.teardown(() => app.close())
  return { app, logs }
}

export async function listen (app: App): Promise<Omit<TestServer, 'logs'>> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    port,
    url: (path) => `ws://127.0.0.1:${port}${path}`,
    http: (path) => `http://127.0.0.1:${port}${path}`
  }
}
