import { setTimeout as later } from 'node:timers/promises'
import { Type } from '@fastify/type-provider-typebox'
import type { Engine, GapInfo, PresenceDiff } from '../../src/index.ts'
import { connect, type Client } from './client.ts'
import { startServer, type App, type Teardown, type TestServer } from './server.ts'

export interface TestNode extends TestServer {
  join: (room: string) => Promise<Client>
}

/**
 * A server whose clients join rooms at `/rooms/:room`. They are told `ready ADDRESS`; what reaches
 * them otherwise is echoed: `info X`, `gap`, `+KEY=META` and `-KEY` of presence. They may say
 * `track KEY META`, `untrack KEY`, `leave` and `list`.
 */
export async function startNode (
  t: Teardown,
  engine: Engine | undefined,
  routes: (app: App) => void = () => {}
): Promise<TestNode> {
  const server = await startServer(t, (app) => {
    app.get('/rooms/:room', {
      schema: { params: Type.Object({ room: Type.String() }) },
      websocketHandler: {
        init: ({ params: { room } }, ws) => {
          ws.subscribe(room)
          return ws.push(`ready ${ws.ref.address}`, room)
        },
        handleIn: ({ data }, room, ws) => {
          const [verb, key = '', meta = 'null'] = String(data).split(' ')
          if (verb === 'track') ws.track(room, key, JSON.parse(meta))
          if (verb === 'untrack') ws.untrack(room, key)
          if (verb === 'leave') ws.unsubscribe(room)
          return ws.push(`did ${String(data)}`)
        },
        handleInfo: (info, _room, ws) =>
          ws.push(
            info instanceof Uint8Array
              ? info
              : `info ${typeof info === 'string' ? info : JSON.stringify(info)}`
          ),
        handleGap: (_gap: GapInfo, _room, ws) => ws.push('gap'),
        handlePresence: ({ joins, leaves }: PresenceDiff, _room, ws) =>
          ws.push([
            ...leaves.map(({ key }) => `-${key}`).sort(),
            ...joins.map(({ key, meta }) => `+${key}=${JSON.stringify(meta)}`).sort()
          ])
      }
    })
    routes(app)
  }, { ...engine !== undefined && { websock: { engine } }, level: 'info' })
  return {
    ...server,
    join: async (room) => {
      const client = await connect(t, server.url(`/rooms/${encodeURIComponent(room)}`))
      addresses.set(client, String(await client.next()).replace('ready ', ''))
      return client
    }
  }
}

const addresses = new WeakMap<Client, string>()

/** Of the connection behind a client that joined a room. */
export function addressOf (client: Client): string {
  return addresses.get(client) ?? ''
}

/**
 * Resolves when it holds; rejects after 15 s. Looks again and again, because nobody tells when it
 * does.
 */
export async function until (condition: () => boolean, words: string): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not: ${words}`)
    await later(5)
  }
}

/** Resolves when all that these nodes want is subscribed. */
export async function ready (...nodes: TestNode[]): Promise<void> {
  for (const { app } of nodes) await until(() => app.websock.ready(), 'ready')
}
