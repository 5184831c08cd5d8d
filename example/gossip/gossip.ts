import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Stop, Push, WebsocketContext } from 'fastify-websock'
import type { Reply } from './answer.ts'
import { announceDisconnections } from './disconnections.ts'
import { KnownGames, type KnownGame } from './known-games.ts'
import { hear } from './life.ts'
import {
  FromGameSchema,
  InfoSchema,
  MAX_FRAME_BYTES,
  ToGameSchema,
  type News,
  type Tick,
  type ToGame
} from './messages.ts'
import { Network } from './network.ts'
import { receive, refuse } from './requests.ts'
import { restart } from './restart.ts'
import { createSocket, type Socket } from './session.ts'
import { topics } from './topics.ts'
import { watch } from './watch.ts'

export interface GossipOptions {
  readonly games: readonly KnownGame[]
  /** How often a game is asked whether it is there. */
  readonly heartbeatMs?: number
  /** For POST /gossip/restart. */
  readonly adminToken?: string | undefined
  /**
   * How long after it was seen a game is online, and how long after its last socket it is said to
   * be gone.
   */
  readonly onlineForMs?: number
  readonly now?: () => number
}

/** A day: a timer of Node has room for 24. */
const MAX_HEARTBEAT_MS = 86_400_000

/**
 * The answer to a status is a frame for each game that is online, all at once: that they wait is no
 * sign of a slow reader.
 */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

type Context = WebsocketContext<ToGame, News | Tick, Socket>

/**
 * The network of games of gossip.haus and grapevine.haus, at /socket: what each file does is a
 * section of the protocol.
 */
export const gossip: FastifyPluginAsyncTypebox<GossipOptions> = async (app, options) => {
  const { heartbeatMs = 15_000, onlineForMs = 60_000, now = () => performance.now() } = options
  if (!(heartbeatMs >= 1 && heartbeatMs <= MAX_HEARTBEAT_MS)) {
    throw new Error(
      `GOSSIP_HEARTBEAT_MS is a number of milliseconds, 1 to ${MAX_HEARTBEAT_MS}, got ${heartbeatMs}`
    )
  }
  const network = new Network({
    websock: app.websock,
    games: new KnownGames(options.games),
    onlineForMs,
    now
  })
  announceDisconnections(app.websock, network, onlineForMs)

  app.get('/socket', {
    schema: {
      summary: 'Gossip: a network of games',
      description:
        'The protocol of gossip.haus and grapevine.haus. A game sends `authenticate` first; ' +
        'then it says who plays, talks on channels and tells, and answers each `heartbeat`.\n\n' +
        'An answer has the `ref` of the request, where that had one.',
      tags: ['gossip'],
      websocket: { receive: FromGameSchema, send: ToGameSchema, info: InfoSchema }
    },
    websocketOptions: {
      maxMessageBytes: MAX_FRAME_BYTES,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      // The protocol has heartbeats of its own.
      heartbeatIntervalMs: 0
    },
    websocketHandler: {
      init (_args, ws) {
        ws.subscribe(topics.everybody)
        ws.postInterval({ event: 'tick' }, heartbeatMs)
        return ws.ok(createSocket(ws))
      },
      handleIn: (message, socket, ws) => reply(ws, receive(message, socket, network)),
      handleInvalid: (problem, socket, ws) => reply(ws, refuse(problem, socket, network)),
      handleInfo: (news, socket, ws) => reply(ws, hear(news, socket)),
      terminate (_reason, { session }) {
        if (session !== undefined) network.leave(session)
      }
    }
  })

  await app.register(restart, { network, adminToken: options.adminToken })
  await app.register(watch, { network })
}

function reply (ws: Context, { messages, close }: Reply): Push<Socket> | Stop<Socket> {
  return close === undefined ? ws.push(messages) : ws.stop('normal', [close, 'goodbye'], messages)
}
