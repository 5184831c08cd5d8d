// Section 4: a connection from its authentication to its end.
import { UNKNOWN, SILENT, type Reply } from './answer.ts'
import { join } from './channels.ts'
import type { KnownGame } from './known-games.ts'
import type { News, Request, Tick, ToGame } from './messages.ts'
import type { Network } from './network.ts'
import { createSession, type Session, type Socket } from './session.ts'
import { topics } from './topics.ts'

const PROTOCOL_VERSION = '2.3.0'
const FLAGS: readonly unknown[] = ['channels', 'players', 'tells', 'games', 'achievements']
const DEBUG_MS = 300_000
const MAX_UNANSWERED = 3
/** Presence carries it. */
const MAX_USER_AGENT_LENGTH = 256

const HEARTBEAT: ToGame = { event: 'heartbeat' }

export function authenticate (
  { payload }: Request<'authenticate'>,
  socket: Socket,
  network: Network
): Reply {
  if (socket.session !== undefined) return UNKNOWN
  const game = network.games.authenticate(payload.client_id, payload.client_secret)
  if (game === undefined) return refusal('invalid credentials')
  const flaw = flawOf(payload.supports)
  if (flaw !== undefined) return refusal(flaw)

  const session = createSession({
    socket,
    game,
    supports: flagsOf(game, payload.supports as string[]),
    userAgent: (payload.user_agent ?? '').slice(0, MAX_USER_AGENT_LENGTH),
    debugUntilMs: payload.debug === true ? network.now() + DEBUG_MS : 0
  })
  const refused = begin(session, payload.channels ?? [], payload.players, network)
  socket.unanswered++
  return {
    messages: [
      {
        event: 'authenticate',
        status: 'success',
        payload: { unicode: '✔️', version: PROTOCOL_VERSION }
      },
      ...refused,
      HEARTBEAT
    ]
  }
}

/** The game has answered a heartbeat, with the players that it has, or with what cannot be read. */
export function handleHeartbeat (
  players: readonly string[] | undefined,
  session: Session,
  network: Network
): void {
  session.socket.unanswered = 0
  network.see(session, players)
}

/** One beat of the interval that began with the connection. */
export function beat (socket: Socket): Reply {
  if (socket.unanswered >= MAX_UNANSWERED) return { messages: [], close: 4001 }
  socket.unanswered++
  return socket.session === undefined ? SILENT : { messages: [HEARTBEAT] }
}

/** What a socket's client hears of news from a topic or a timer. */
export function hear (news: News | Tick, socket: Socket): Reply {
  if (news.event === 'tick') return beat(socket)
  const { notTo, ...message } = news
  if (notTo !== undefined && notTo === socket.session?.game.short_name) return SILENT
  const ref = crypto.randomUUID()
  if (message.event !== 'restart') return { messages: [{ ...message, ref }] }
  return {
    messages: [
      {
        ...message,
        ref,
        payload: { downtime: message.payload.downtime + Math.floor(Math.random() * 11) - 5 }
      }
    ]
  }
}

function refusal (error: string): Reply {
  return { messages: [{ event: 'authenticate', status: 'failure', error }], close: 4000 }
}

function flawOf (supports: readonly unknown[] = []): string | undefined {
  if (supports.length === 0) return 'missing supports'
  if (!supports.includes('channels')) return 'must support channels'
  if (supports.some((flag) => !FLAGS.includes(flag))) return 'includes unknown supports'
}

/** Nobody can tell anything to players whom nobody sees. */
function flagsOf (
  { display_players: shown = true }: KnownGame,
  supports: readonly string[]
): ReadonlySet<string> {
  return new Set(supports.filter((flag) => shown || flag !== 'tells'))
}

/** Gives a failure for each channel that is none. */
function begin (
  session: Session,
  channels: ReadonlyArray<string | null>,
  players: readonly string[] | undefined,
  network: Network
): ToGame[] {
  const { socket, game: { short_name: game }, supports } = session
  const wasOnline = network.isOnline(game)
  socket.session = session
  network.enter(session)
  if (supports.has('players')) socket.ws.subscribe(topics.players)
  if (supports.has('tells')) socket.ws.subscribe(topics.tells(game))
  if (supports.has('games')) socket.ws.subscribe(topics.games)
  const bad = channels.filter((name) => !join(session, name))
  network.see(session, players)
  if (!wasOnline) {
    network.publish(topics.games, { event: 'games/connect', payload: { game }, notTo: game })
  }
  return bad.map((name) => ({
    event: 'channels/subscribe',
    status: 'failure',
    error: `Could not subscribe to '${name ?? ''}'`
  }))
}
