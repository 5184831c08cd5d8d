import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import { initTRPC } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import { applyWSSHandler } from '@trpc/server/adapters/ws'
import mercurius from 'mercurius'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import t from 'tap'
import { WebSocketServer } from 'ws'
import websock, { type WebsocketHandler } from '../../src/index.ts'
import { connect, type Client } from '../helpers/client.ts'
import { buildApp, listen, type App, type Teardown, type TestServer } from '../helpers/server.ts'

const ORDERS = ['before this plugin', 'after this plugin'] as const
const ours: WebsocketHandler = {
  handleIn: ({ data }, _state, ws) => ws.push(`ours ${String(data)}`)
}

type Server = Omit<TestServer, 'logs'>

interface Neighbour {
  readonly add: (app: App, t: Teardown) => unknown
  /**
   * Opens a connection and sends a request. Resolves with the answer, and with a promise that
   * resolves when the connection has ended.
   */
  readonly use: (
    t: Teardown,
    server: Server
  ) => Promise<{ answer: unknown, closed: Promise<unknown> }>
  /**
   * True for a plugin that registers routes of @fastify/websocket, or that plugin itself. It must
   * be registered after this plugin.
   */
  readonly onlyAfter?: true
}

const trpc = initTRPC.create()
const router = trpc.router({ hello: trpc.procedure.query(() => 'hello') })

const neighbours: Readonly<Record<string, Neighbour>> = {
  'a ws server with a path': {
    add (app) {
      const server = new WebSocketServer({ server: app.server, path: '/other' })
      server.on('connection', (socket) =>
        socket.on('message', (data: Buffer) => socket.send(`other ${data.toString()}`))
      )
      app.addHook('preClose', (done) => { closeAll(server); done() })
    },
    use: (t, server) => askOn(t, server.url('/other'), 'hi')
  },
  '@fastify/http-proxy': {
    async add (app, t) {
      const upstream = new WebSocketServer({ port: 0, host: '127.0.0.1' })
      t.teardown(() => { closeAll(upstream) })
      upstream.on('connection', (socket) =>
        socket.on('message', (data: Buffer) => socket.send(`other ${data.toString()}`))
      )
      await once(upstream, 'listening')
      const { port } = upstream.address() as AddressInfo
      await app.register(httpProxy, {
        upstream: `http://127.0.0.1:${port}`,
        prefix: '/other',
        websocket: true
      })
    },
    use: (t, server) => askOn(t, server.url('/other'), 'hi')
  },
  'socket.io': {
    add (app) {
      const sockets = new SocketIoServer(app.server)
      sockets.on('connection', (socket) =>
        socket.on('ask', (data: string, answer: (text: string) => void) => answer(`other ${data}`))
      )
      app.addHook('preClose', (done) => { sockets.local.disconnectSockets(true); done() })
    },
    async use (t, server) {
      const client = io(server.http(''), { transports: ['websocket'], reconnection: false })
      t.teardown(() => client.close())
      const closed = new Promise((resolve) => { client.on('disconnect', resolve) })
      return { answer: await client.timeout(20_000).emitWithAck('ask', 'hi') as unknown, closed }
    }
  },
  'mercurius with subscriptions': {
    onlyAfter: true,
    add: (app) =>
      app.register(mercurius, {
        schema: 'type Query { hello: String } type Subscription { ticks: String }',
        resolvers: {
          Query: { hello: () => 'hello' },
          Subscription: { ticks: { subscribe: () => PassThrough.from([{ ticks: 'other hi' }]) } }
        },
        subscription: true
      }),
    async use (t, server) {
      const client = await connect(t, server.url('/graphql'), {
        protocols: ['graphql-transport-ws']
      })
      client.send({ type: 'connection_init' })
      await client.next()
      client.send({ id: '1', type: 'subscribe', payload: { query: 'subscription { ticks }' } })
      const { payload } = await client.nextJson<{ payload: { data: { ticks: string } } }>()
      return { answer: payload.data.ticks, closed: client.closed }
    }
  },
  'tRPC with useWSS': {
    onlyAfter: true,
    add: (app) =>
      app.register(fastifyTRPCPlugin, { prefix: '/other', useWSS: true, trpcOptions: { router } }),
    use: askTrpc
  },
  'tRPC with applyWSSHandler': {
    add (app) {
      const server = new WebSocketServer({ server: app.server, path: '/other' })
      applyWSSHandler({ wss: server, router })
      app.addHook('preClose', (done) => { closeAll(server); done() })
    },
    use: askTrpc
  }
}

for (const [name, neighbour] of Object.entries(neighbours)) {
  for (const order of ORDERS) {
    if (order === 'before this plugin' && neighbour.onlyAfter) continue
    void t.test(
      `${name}, registered ${order}, and this plugin work until app.close()`,
      async (t) => {
        const { app, logs } = buildApp(t)
        if (order === 'before this plugin') await neighbour.add(app, t)
        await app.register(websock)
        if (order === 'after this plugin') await neighbour.add(app, t)
        app.get('/ws', { websocketHandler: ours })
        const server = await listen(app)
        const mine = await askOn(t, server.url('/ws'), 'hi')
        const other = await neighbour.use(t, server)
        t.equal(mine.answer, 'ours hi')
        t.match(other.answer, /^(other hi|hello)$/)
        await app.close()
        t.match(await mine.closed, { code: 1012 })
        await other.closed
        t.same(
          logs.filter(({ level }) => level > 40),
          [],
          'no error is logged'
        )
      }
    )
  }
}

void t.test(
  'mercurius before this plugin has registered @fastify/websocket, which is refused at start',
  async (t) => {
    const { app } = buildApp(t)
    await neighbours['mercurius with subscriptions']?.add(app, t)
    await t.rejects(
      async () => {
        await app.register(websock)
      },
      { code: 'FST_WEBSOCK_FOREIGN_PLUGIN' }
    )
  }
)

async function askOn (
  t: Teardown,
  url: string,
  message: unknown
): Promise<{ answer: unknown, closed: Client['closed'] }> {
  const client = await connect(t, url)
  client.send(message)
  return { answer: await client.next(), closed: client.closed }
}

async function askTrpc (
  t: Teardown,
  server: Server
): Promise<{ answer: unknown, closed: Client['closed'] }> {
  const client = await connect(t, server.url('/other'))
  client.send({ id: 1, method: 'query', params: { path: 'hello' } })
  const { result } = await client.nextJson<{ result: { data: unknown } }>()
  return { answer: result.data, closed: client.closed }
}

function closeAll (server: WebSocketServer): void {
  server.close()
  for (const client of server.clients) client.terminate()
}
