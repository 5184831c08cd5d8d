// Section 8: the games that are online.
import { answerForEach, fail } from './answer.ts'
import type { KnownGame } from './known-games.ts'
import type { Family } from './session.ts'

export const games: Family<'games/status'> = {
  async 'games/status' (request, session, ws) {
    const { event, ref, payload } = request
    if (ref === undefined || ref === null) return
    const answerFor = (game: KnownGame) => {
      const online = session.network.find(game.short_name)
      if (online === undefined) return undefined
      const { description, homepage_url: url, connections } = game
      const status = {
        game: game.short_name,
        display_name: game.name,
        supports: [...online.supports],
        channels: [...online.channels],
        player_online_count: game.display_players === false ? 0 : online.players.length,
        ...(description !== undefined && { description }),
        ...(url !== undefined && { homepage_url: url }),
        ...(online.userAgent !== '' && { user_agent: online.userAgent }),
        ...(connections !== undefined && { connections })
      }
      return { event, ref, status: 'success' as const, payload: status }
    }
    if (payload?.game === undefined) return answerForEach(session, ws, answerFor)
    const game = session.network.games.find(payload.game)
    const answer = game && answerFor(game)
    return answer ? ws.push(answer) : fail('unknown game', request, session, ws)
  }
}
