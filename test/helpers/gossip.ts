import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { mock } from 'node:test'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { connect, type Client } from './client.ts'
import type { Teardown } from './server.ts'

const ROOT = join(__dirname, '..', '..')
const load = createRequire(__filename)

export interface Game {
  name: string
  short_name: string
  client_id: string
  client_secret: string
  [more: string]: unknown
}

export interface GossipServer {
  url: string
  http: (path: string) => string
  ws: (path: string) => string
  app: any
  games: Map<string, Game>
  /** Advances the server's clock. With `timersByHand`, all timers of this process too. */
  pass: (ms: number) => void
  /** Waits until at most this many sockets are left. */
  untilLeft: (sockets: number) => Promise<void>
}

export interface GossipOptions {
  heartbeatMs?: number
  onlineForMs?: number
  adminToken?: string
  games?: readonly Game[]
  timersByHand?: boolean
  /** Options of the plugin, such as an engine. */
  websock?: any
}

export function makeGame (shortName: string, more: object = {}): Game {
  return {
    name: `The game ${shortName}`,
    short_name: shortName,
    client_id: randomUUID(),
    client_secret: randomUUID(),
    ...more
  }
}

/** Starts a server with the built game network of the example. The test advances its clock. */
export async function startGossip (
  t: Teardown,
  {
    games = ['Ann', 'Bob', 'Cid'].map((name) => makeGame(name)),
    websock = {},
    timersByHand = false,
    ...options
  }: GossipOptions = {}
): Promise<GossipServer> {
  // The built example imports the package `fastify-websock`, like a user's code.
  const { gossip } = load(join(ROOT, 'example/dist/gossip/gossip.js'))
  const app = Fastify()
  t.teardown(() => app.close())
  let now = 1_000_000
  await app.register(load(ROOT), websock)
  await app.register(gossip, { games, now: () => now, ...options })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  if (timersByHand) {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
    t.teardown(() => mock.timers.reset())
  }
  return {
    url: `ws://127.0.0.1:${port}/socket`,
    http: (path) => `http://127.0.0.1:${port}${path}`,
    ws: (path) => `ws://127.0.0.1:${port}${path}`,
    app,
    games: new Map(games.map((game) => [game.short_name, game])),
    pass (ms) {
      now += ms
      if (timersByHand) mock.timers.tick(ms)
    },
    async untilLeft (sockets) {
      while (app.websock.connections.size > sockets) await nextTurn()
    }
  }
}

/** The first message of a game. */
export function authentication (game: Game, payload: object = {}): object {
  const credentials = { client_id: game.client_id, client_secret: game.client_secret }
  return { event: 'authenticate', payload: { ...credentials, supports: ['channels'], ...payload } }
}

/** Opens a socket and authenticates. Takes the messages up to the first heartbeat. */
export async function joinAs (
  t: Teardown,
  url: string,
  game: Game,
  payload: object = {}
): Promise<Client> {
  const client = await connect(t, url)
  client.send(authentication(game, payload))
  const answer: any = await client.nextJson()
  if (answer.status !== 'success') throw new Error(JSON.stringify(answer))
  while ((await client.nextJson<any>()).event !== 'heartbeat');
  return client
}

const UNKNOWN = '{"status":"unknown"}'

/**
 * Asserts that a client has no message: the next one must be the answer to a message that it sends
 * now.
 */
export async function expectNoMessage (client: Client): Promise<void> {
  client.send('{')
  const next = await client.next()
  if (next !== UNKNOWN) throw new Error(`the client got ${String(next)}`)
}
