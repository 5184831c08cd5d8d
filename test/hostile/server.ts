import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyPluginCallback, type RouteShorthandOptions } from 'fastify'
import { WebSocketServer, type ServerOptions, type WebSocket } from 'ws'
import { ENDPOINTS, type Endpoint } from './case.ts'

/** The kind of the echo server under attack, which has its own process. */
export type ServerKind = 'ours' | 'ws' | 'fastify-websocket'

export interface Route {
  readonly port: number
  readonly path: string
}

export type Routes = Readonly<Record<Endpoint, Route>>

export interface Memory {
  readonly rss: number
  readonly external: number
  readonly heapUsed: number
}

/**
 * A message to the parent: the addresses at the start, and on request the largest growth since the
 * last request.
 */
export type ServerMessage =
  | { readonly type: 'ready', readonly routes: Routes }
  | { readonly type: 'report', readonly grown: Memory, readonly sockets: number }

const HOOK_MS = 200
const HASTE_MS = 500
const GARBAGE = 32 * 1024 * 1024

const servers: Server[] = []

const STARTS: Readonly<Record<ServerKind, () => Promise<Routes>>> = {
  ours: () => startOurs({}),

  async ws () {
    const options: Partial<Record<Endpoint, ServerOptions>> = {
      deflate: { perMessageDeflate: true },
      slow: { verifyClient: (_info, done) => { setTimeout(() => done(true), HOOK_MS) } },
      stuck: { verifyClient: (_info, _done) => {} }
    }
    const byEndpoint = new Map<Endpoint, WebSocketServer>()
    for (const endpoint of ENDPOINTS) {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options[endpoint] })
      server.on('connection', echo)
      await new Promise((resolve) => server.once('listening', resolve))
      byEndpoint.set(endpoint, server)
      servers.push((server as unknown as { _server: Server })._server)
    }
    return routesOf((endpoint) => byEndpoint.get(endpoint) as WebSocketServer)
  },

  async 'fastify-websocket' () {
    const plain = await startFastifyWebsocket({})
    const deflating = await startFastifyWebsocket({ perMessageDeflate: true })
    return routesOf((endpoint) => endpoint === 'deflate' ? deflating : plain)
  }
}

const SLOW: RouteShorthandOptions = {
  preValidation: (_request, _reply, done) => {
    setTimeout(done, HOOK_MS)
  }
}
const STUCK: RouteShorthandOptions = { preValidation: () => {} }

async function startOurs (options: object): Promise<Routes> {
  // Without its types: those of dist and those of src cannot be in one program.
  const websock = require('fastify-websock') as FastifyPluginCallback<object>
  const app = Fastify()
  await app.register(websock, options)
  const handler = {
    handleIn: (message: unknown, _state: unknown, ws: { push: (message: unknown) => unknown }) =>
      ws.push(message)
  }
  const add = (
    endpoint: Endpoint,
    websocketOptions: object,
    hook: RouteShorthandOptions = {}
  ): void => {
    app.get(
      `/ws/${endpoint}`,
      { ...hook, websocketOptions, websocketHandler: handler } as object as RouteShorthandOptions,
      undefined as never
    )
  }
  add('echo', {})
  add('deflate', { compress: true })
  add('hasty', {
    heartbeatIntervalMs: HASTE_MS,
    heartbeatTimeoutMs: HASTE_MS,
    closeTimeoutMs: HASTE_MS
  })
  add('slow', {}, SLOW)
  add('stuck', { upgradeTimeoutMs: HASTE_MS, closeTimeoutMs: HASTE_MS }, STUCK)
  await app.listen({ port: 0, host: '127.0.0.1' })
  servers.push(app.server)
  return routesOf(() => app.server)
}

async function startFastifyWebsocket (options: ServerOptions): Promise<Server> {
  const app = Fastify()
  await app.register(fastifyWebsocket, { options: options as object })
  for (const endpoint of ENDPOINTS) {
    const hook = endpoint === 'slow' ? SLOW : endpoint === 'stuck' ? STUCK : {}
    app.get(`/ws/${endpoint}`, { ...hook, websocket: true }, echo)
  }
  await app.listen({ port: 0, host: '127.0.0.1' })
  servers.push(app.server)
  return app.server
}

/** As in the READMEs of both. */
function echo (socket: WebSocket): void {
  socket.on('error', () => {})
  socket.on('message', (data, binary) => { socket.send(data, { binary }) })
}

function routesOf (find: (endpoint: Endpoint) => { address: () => unknown }): Routes {
  return Object.fromEntries(
    ENDPOINTS.map((endpoint) => [
      endpoint,
      { port: (find(endpoint).address() as AddressInfo).port, path: `/ws/${endpoint}` }
    ])
  ) as unknown as Routes
}

function countSockets (server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
}

/**
 * The growth after a collection. Node reads into buffers of 64 KiB, and tens of MiB of them may
 * wait for the collector. The rest is what peers make the server keep.
 */
function keptGrowth (start: Memory): Memory {
  globalThis.gc?.()
  return growth(start)
}

function growth (start: Memory): Memory {
  const { rss, external, heapUsed } = process.memoryUsage()
  return {
    rss: rss - start.rss,
    external: external - start.external,
    heapUsed: heapUsed - start.heapUsed
  }
}

export function max (a: Memory, b: Memory): Memory {
  return {
    rss: Math.max(a.rss, b.rss),
    external: Math.max(a.external, b.external),
    heapUsed: Math.max(a.heapUsed, b.heapUsed)
  }
}

async function main (): Promise<void> {
  const send = (message: ServerMessage): void => { process.send?.(message) }
  const routes = await STARTS[process.argv[2] as ServerKind]()
  const start = process.memoryUsage()
  let grown = growth(start)
  setInterval(() => {
    const now = growth(start)
    grown = max(grown, now.rss < GARBAGE ? now : keptGrowth(start))
  }, 50)
  process.on('message', () => {
    void Promise.all(servers.map(countSockets)).then((counts) => {
      send({ type: 'report', grown, sockets: counts.reduce((a, b) => a + b) })
      grown = growth(start)
    })
  })
  process.on('disconnect', () => process.exit())
  send({ type: 'ready', routes })
}

// Other files import this one for its types and `max`.
if (process.send !== undefined && require.main === module) void main()
