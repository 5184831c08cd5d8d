// Section 4: a connection from its authentication to its end.
import { goodbye, TRY_AGAIN } from './answer.ts'
import { isChannel } from './channels.ts'
import { subscribeAll } from './subscribe-all.ts'
import type { KnownGame } from './known-games.ts'
import type { News, Tick, ToGame } from './protocol.ts'
import type { Family, Result, Session, Ws } from './session.ts'
import { topics } from './topics.ts'

const PROTOCOL_VERSION = '2.3.0'
const FLAGS: readonly unknown[] = ['channels', 'players', 'tells', 'games', 'achievements']
const DEBUG_MS = 300_000
const MAX_UNANSWERED = 3
/** Limited, because each sign of life carries the user agent to all nodes. */
const MAX_USER_AGENT_LENGTH = 256

const HEARTBEAT: ToGame = { event: 'heartbeat' }

export const life: Family<'authenticate' | 'heartbeat'> = {
  async authenticate ({ payload: { players, channels = [], ...payload } }, session, ws) {
    const { network } = session
    const game = network.games.authenticate(payload.client_id, payload.client_secret)
    if (game === undefined) return goodbye(ws, 'invalid credentials')
    const flaw = flawOf(payload.supports)
    if (flaw !== undefined) return goodbye(ws, flaw)

    session.supports = flagsOf(game, payload.supports as string[])
    session.userAgent = (payload.user_agent ?? '').slice(0, MAX_USER_AGENT_LENGTH)
    session.debugUntilMs = payload.debug === true ? network.now() + DEBUG_MS : 0
    for (const name of channels) if (isChannel(name)) session.channels.add(name)
    // The game is announced after its subscriptions are ready. Without the broker it starts without
    // them.
    await subscribeAll(ws, topicsOf(session, game.short_name))
    if (ws.signal.aborted) return
    const isNews = network.find(game.short_name) === undefined
    if (!network.enter(session, game, players)) return goodbye(ws, TRY_AGAIN)
    if (isNews) {
      const payload = { game: game.short_name }
      ws.publish(topics.games, { event: 'games/connect', payload, notTo: game.short_name })
    }
    session.unanswered++
    const welcome = { unicode: '✔️', version: PROTOCOL_VERSION }
    return ws.push([
      { event: 'authenticate', status: 'success', payload: welcome },
      ...channels.filter((name) => !isChannel(name)).map((name) => ({
        event: 'channels/subscribe' as const,
        status: 'failure' as const,
        error: `Could not subscribe to '${name ?? ''}'`
      })),
      HEARTBEAT
    ])
  },

  heartbeat ({ payload }, session) {
    const { network } = session
    session.unanswered = 0
    // A heartbeat is never answered. If there is no room for the new list, the old one is kept.
    if (!network.see(session, payload?.players ?? [])) network.see(session)
  }
}

/** Handles an info of the interval or of a topic. */
export function handleInfo (info: News | Tick, session: Session, ws: Ws): Result {
  if (info.event === 'tick') return beat(session, ws)
  const { notTo, ...news } = info
  if (notTo !== undefined && notTo === session.game.short_name) return
  const ref = crypto.randomUUID()
  if (news.event !== 'restart') return ws.push({ ...news, ref })
  const downtime = news.payload.downtime + Math.floor(Math.random() * 11) - 5
  return ws.push({ ...news, ref, payload: { downtime } })
}

function beat (session: Session, ws: Ws): Result {
  if (session.unanswered >= MAX_UNANSWERED) return ws.stop('normal', [4001, 'goodbye'])
  session.unanswered++
  if (session.isAuthenticated) return ws.push(HEARTBEAT)
}

function flawOf (supports: readonly unknown[] = []): string | undefined {
  if (supports.length === 0) return 'missing supports'
  if (!supports.includes('channels')) return 'must support channels'
  if (supports.some((flag) => !FLAGS.includes(flag))) return 'includes unknown supports'
}

/** A game with hidden players cannot receive tells. */
function flagsOf (
  { display_players: shown = true }: KnownGame,
  supports: readonly string[]
): ReadonlySet<string> {
  return new Set(supports.filter((flag) => shown || flag !== 'tells'))
}

function topicsOf ({ supports, channels }: Session, game: string) {
  return [
    ...Array.from(channels, topics.channel),
    ...(supports.has('players') ? [topics.players] : []),
    ...(supports.has('tells') ? [topics.tells(game)] : []),
    ...(supports.has('games') ? [topics.games] : [])
  ]
}
