import type { WebsocketContext } from 'fastify-websock'
import type { KnownGame } from './known-games.ts'
import { LeakyBucket } from './leaky-bucket.ts'
import type { News, Tick, ToGame } from './messages.ts'

/** The state of a connection. */
export interface Socket {
  readonly ws: Pick<
    WebsocketContext<ToGame, News | Tick, Socket>,
    'subscribe' | 'unsubscribe' | 'track' | 'ref'
  >
  readonly frames: LeakyBucket
  /** Heartbeats that wait for an answer. */
  unanswered: number
  /** Not there until it has authenticated. */
  session?: Session
}

/** What a socket has once it has authenticated. */
export interface Session {
  readonly socket: Socket
  readonly game: KnownGame
  readonly supports: ReadonlySet<string>
  readonly channels: Set<string>
  readonly userAgent: string
  /** Until then each request is answered. */
  readonly debugUntilMs: number
  readonly buckets: {
    readonly send: LeakyBucket
    readonly subscribe: LeakyBucket
    readonly unsubscribe: LeakyBucket
  }
}

export function createSocket (ws: Socket['ws']): Socket {
  return { ws, frames: new LeakyBucket({ size: 100, leak: 20 }), unanswered: 0 }
}

export function createSession (
  of: Pick<Session, 'socket' | 'game' | 'supports' | 'userAgent' | 'debugUntilMs'>
): Session {
  return {
    ...of,
    channels: new Set(),
    buckets: {
      send: new LeakyBucket({ size: 10, leak: 2 }),
      subscribe: new LeakyBucket({ size: 5, leak: 1 }),
      unsubscribe: new LeakyBucket({ size: 5, leak: 1 })
    }
  }
}
