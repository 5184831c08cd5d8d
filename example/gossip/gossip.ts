import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { achievements } from './achievements.ts'
import { channels } from './channels.ts'
import { games } from './games.ts'
import { guard, handleInvalid } from './guard.ts'
import { KnownGames, type KnownGame } from './known-games.ts'
import { handleInfo, life } from './life.ts'
import { Network } from './network.ts'
import { MAX_FRAME_BYTES } from './payloads.ts'
import { players } from './players.ts'
import { InfoSchema, RequestSchema, ToGameSchema } from './protocol.ts'
import { restart } from './restart.ts'
import { Session } from './session.ts'
import { tells } from './tells.ts'
import { topics } from './topics.ts'
import { watch } from './watch.ts'

export interface GossipOptions {
  readonly games: readonly KnownGame[]
  /** The time between two heartbeats. Default: 15 000. */
  readonly heartbeatMs?: number
  /** The token for POST /gossip/restart. */
  readonly adminToken?: string | undefined
  /**
   * A game is online for this time after its last sign of life, and gone this time after its last
   * socket. Default: 60 000.
   */
  readonly onlineForMs?: number
  readonly now?: () => number
}

/** One day. A timer of Node allows 24 days. */
const MAX_HEARTBEAT_MS = 86_400_000

/** The network of games of gossip.haus and grapevine.haus. README.md says which file does what. */
export const gossip: FastifyPluginAsyncTypebox<GossipOptions> = async (app, options) => {
  const { heartbeatMs = 15_000, onlineForMs = 60_000, now = () => performance.now() } = options
  if (!(heartbeatMs >= 1 && heartbeatMs <= MAX_HEARTBEAT_MS)) {
    throw new Error(
      `GOSSIP_HEARTBEAT_MS is a number of milliseconds, 1 to ${MAX_HEARTBEAT_MS}, ` +
      `got ${heartbeatMs}`
    )
  }
  const known = new KnownGames(options.games)
  const network = new Network({ websock: app.websock, games: known, onlineForMs, now })

  app.get('/socket', {
    schema: {
      summary: 'Gossip: a network of games',
      description:
        'The protocol of gossip.haus and grapevine.haus. A game sends `authenticate` first; ' +
        'then it sends its players, talks on channels, sends tells, and answers each ' +
        '`heartbeat`.\n\n' +
        'An answer has the `ref` of its request, if it had one.',
      tags: ['gossip'],
      websocket: { receive: RequestSchema, send: ToGameSchema, info: InfoSchema }
    },
    websocketOptions: {
      maxMessageBytes: MAX_FRAME_BYTES,
      // The answers about all games wait for slow readers, but a single answer is never split.
      maxBufferedBytes: 16 * MAX_FRAME_BYTES,
      // The protocol has heartbeats of its own.
      heartbeatIntervalMs: 0
    },
    websocketHandler: {
      init (_args, ws) {
        ws.subscribe(topics.allSockets)
        ws.postInterval({ event: 'tick' }, heartbeatMs)
        return ws.ok(new Session(network, ws.ref))
      },
      guard,
      on: { event: { ...life, ...channels, ...players, ...tells, ...games, ...achievements } },
      handleInvalid,
      handleInfo,
      terminate: (_reason, session) => network.leave(session)
    }
  })

  await app.register(restart, { adminToken: options.adminToken })
  await app.register(watch, { network })
}
