import type { CallbackResult, WebsocketContext } from 'fastify-websock'
import type { KnownGame } from './known-games.ts'
import { LeakyBucket } from './leaky-bucket.ts'
import type { Network } from './network.ts'
import type { News, Request, RequestEvent, Tick, ToGame } from './protocol.ts'

export type Ws = WebsocketContext<ToGame, News | Tick, Session>
export type Result = CallbackResult<Session>

/** The handlers of some events. They are spread into the route's `on`. */
export type Family<E extends RequestEvent> = {
  readonly [K in E]: (request: Request<K>, session: Session, ws: Ws) => Result
}

/** The game of a socket that has not authenticated: without name and credentials. */
const NO_GAME: KnownGame = { name: '', short_name: '', client_id: '', client_secret: '' }

/** The state of a connection. */
export class Session {
  readonly network: Network
  readonly ref: Ws['ref']
  readonly limits = {
    frames: new LeakyBucket(100, 20),
    send: new LeakyBucket(10, 2),
    subscribe: new LeakyBucket(5, 1),
    unsubscribe: new LeakyBucket(5, 1)
  }

  /** The number of heartbeats without an answer. */
  unanswered = 0
  // The fields below are set when the socket has authenticated.
  game = NO_GAME
  supports: ReadonlySet<string> = new Set()
  readonly channels = new Set<string>()
  userAgent = ''
  /** Until this time each request is answered. */
  debugUntilMs = 0

  constructor (network: Network, ref: Ws['ref']) {
    this.network = network
    this.ref = ref
  }

  get isAuthenticated (): boolean { return this.game !== NO_GAME }
}
