// Section 8: which games there are. Their coming and going is told by life.ts and
// disconnections.ts.
import { failure, SILENCE, type Family } from './answer.ts'
import type { KnownGame } from './known-games.ts'
import type { AnswerTo } from './messages.ts'
import type { Network } from './network.ts'

export const games: Family<'games/status'> = {
  'games/status' ({ payload, ref }, session, network) {
    if (ref === undefined || ref === null) return SILENCE
    const name = payload?.game
    if (name === undefined) {
      return network.othersThan(session.game).flatMap((game) => status(game, network) ?? [])
    }
    const game = network.games.find(name)
    return (game && status(game, network)) ?? failure('unknown game')
  }
}

/** One answer; undefined: it is not online. */
function status (game: KnownGame, network: Network): [AnswerTo<'games/status'>] | undefined {
  const online = network.find(game.short_name)
  if (online === undefined) return undefined
  const { description, homepage_url: homepageUrl, connections } = game
  return [{
    status: 'success',
    payload: {
      game: game.short_name,
      display_name: game.name,
      supports: [...online.supports],
      channels: [...online.channels],
      player_online_count: game.display_players === false ? 0 : online.players.length,
      ...(description !== undefined && { description }),
      ...(homepageUrl !== undefined && { homepage_url: homepageUrl }),
      ...(online.userAgent !== '' && { user_agent: online.userAgent }),
      ...(connections !== undefined && { connections })
    }
  }]
}
