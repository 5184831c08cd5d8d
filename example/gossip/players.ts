// Section 6: who is in a game.
import { failure, SILENCE, WRONG_PAYLOAD, type Family } from './answer.ts'
import type { KnownGame } from './known-games.ts'
import { MAX_FRAME_BYTES } from './messages.ts'
import type { Network } from './network.ts'
import type { Session } from './session.ts'
import { topics } from './topics.ts'

export const players: Family<'players/sign-in' | 'players/sign-out' | 'players/status'> = {
  'players/sign-in' ({ payload: { name } }, session, network) {
    if (name === '') return failure('Name cannot be empty')
    const here = playersOf(session, network)
    const isHere = here.includes(name)
    const now = isHere ? here : [name, ...here]
    // Whoever asks for a status is sent it, and must not be taken for slow.
    if (Buffer.byteLength(JSON.stringify(now)) > MAX_FRAME_BYTES) return failure(WRONG_PAYLOAD)
    network.see(session, now)
    if (!isHere) announce('players/sign-in', name, session, network)
  },

  'players/sign-out' ({ payload: { name } }, session, network) {
    const here = playersOf(session, network)
    const isHere = here.includes(name)
    network.see(session, here.filter((other) => other !== name))
    if (!isHere) return SILENCE
    announce('players/sign-out', name, session, network)
  },

  'players/status' ({ payload, ref }, session, network) {
    if (ref === undefined || ref === null) return SILENCE
    const name = payload?.game
    if (name !== undefined) {
      const game = network.games.find(name)
      const found = game && status(game, network)
      return found === undefined ? failure('unknown game') : [{ payload: found }]
    }
    return network.othersThan(session.game).flatMap((game) => {
      const found = status(game, network)
      return found === undefined ? [] : [{ payload: found }]
    })
  }
}

/** The game's list, as all of its sockets make it. */
function playersOf ({ game }: Session, network: Network): readonly string[] {
  return network.find(game.short_name)?.players ?? []
}

function announce (
  event: 'players/sign-in' | 'players/sign-out',
  name: string,
  { game }: Session,
  network: Network
): void {
  if (game.display === false || game.display_players === false) return
  network.publish(topics.players, {
    event,
    payload: { game: game.short_name, name },
    notTo: game.short_name
  })
}

/** Undefined: it is not online. */
function status (
  { short_name: game, display_players: shown = true }: KnownGame,
  network: Network
): { game: string, players: string[] } | undefined {
  const online = network.find(game)
  return online && { game, players: shown ? [...online.players] : [] }
}
