// Section 6: the players of games.
import { answerForEach, confirm, fail, TRY_AGAIN } from './answer.ts'
import type { KnownGame } from './known-games.ts'
import type { Request } from './protocol.ts'
import type { Family, Session, Ws } from './session.ts'
import { topics } from './topics.ts'

export const players: Family<'players/sign-in' | 'players/sign-out' | 'players/status'> = {
  'players/sign-in' (request, session, ws) {
    const { payload: { name } } = request
    if (name === '') return fail('Name cannot be empty', request, session, ws)
    const before = playersOf(session)
    const isHere = before.includes(name)
    if (!session.network.see(session, isHere ? before : [name, ...before])) {
      return fail(TRY_AGAIN, request, session, ws)
    }
    if (!isHere) announce(request, session, ws)
    return confirm(request, session, ws)
  },

  'players/sign-out' (request, session, ws) {
    const { payload: { name } } = request
    const before = playersOf(session)
    session.network.see(session, before.filter((other) => other !== name))
    if (!before.includes(name)) return
    announce(request, session, ws)
    return confirm(request, session, ws)
  },

  async 'players/status' (request, session, ws) {
    const { event, ref, payload } = request
    if (ref === undefined || ref === null) return
    const answerFor = (game: KnownGame) => {
      const online = session.network.find(game.short_name)
      return online && {
        event,
        ref,
        payload: {
          game: game.short_name,
          players: game.display_players === false ? [] : [...online.players]
        }
      }
    }
    if (payload?.game === undefined) return answerForEach(session, ws, answerFor)
    const game = session.network.games.find(payload.game)
    const answer = game && answerFor(game)
    return answer ? ws.push(answer) : fail('unknown game', request, session, ws)
  }
}

/** The player list of the game, which all its sockets share. */
function playersOf ({ network, game }: Session): readonly string[] {
  return network.find(game.short_name)?.players ?? []
}

function announce (
  { event, payload: { name } }: Request<'players/sign-in' | 'players/sign-out'>,
  { game }: Session,
  ws: Ws
): void {
  if (game.display === false || game.display_players === false) return
  const payload = { game: game.short_name, name }
  ws.publish(topics.players, { event, payload, notTo: game.short_name })
}
