import { setTimeout as later } from 'node:timers/promises'
import { Type } from '@fastify/type-provider-typebox'
import type { Engine, GapInfo, PresenceDiff } from '../../src/index.ts'
import { connect, type Client } from './client.ts'
import { startServer, type App, type Teardown, type TestServer } from './server.ts'

export interface TestNode extends TestServer {
  join: (room: string) => Promise<Client>
}

/**
 * Starts a server whose clients join rooms at `/rooms/:room`. A client first gets `ready ADDRESS`.
 * Later it gets `info X`, `gap`, and `+KEY=META` and `-KEY` of presence. It may send `track KEY
 * META`, `untrack KEY` and `leave`.
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

/** The address of the connection of a client that joined a room. */
export function addressOf (client: Client): string {
  return addresses.get(client) ?? ''
}

/**
 * Resolves when the condition is true. Polls, because there is no event for it. Rejects after 20 s.
 */
export async function until (condition: () => boolean, words: string): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not: ${words}`)
    await later(5)
  }
}

/** Resolves when these nodes have subscribed to all their topics. */
export async function ready (...nodes: TestNode[]): Promise<void> {
  for (const { app } of nodes) await until(() => app.websock.ready(), 'ready')
}

/** Wraps an engine, and records the calls of subscribe and unsubscribe. */
export function watch (engine: Engine): Engine & { calls: string[] } {
  const calls: string[] = []
  return {
    calls,
    name: engine.name,
    maxPayloadBytes: engine.maxPayloadBytes,
    start: (listener) => engine.start(listener),
    subscribe: async (topic) => { calls.push(`+${topic}`); await engine.subscribe(topic) },
    unsubscribe: async (topic) => { calls.push(`-${topic}`); await engine.unsubscribe(topic) },
    publish: (topic, payload) => engine.publish(topic, payload),
    stop: () => engine.stop()
  }
}
