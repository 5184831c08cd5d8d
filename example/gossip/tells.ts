// Section 7: a private word from one player to another.
import { failure, type Family } from './answer.ts'
import { topics } from './topics.ts'

export const INVALID_TELL = 'invalid payload'

export const tells: Family<'tells/send'> = {
  'tells/send' ({ payload: { to_game: toGame, ...tell } }, { game }, network) {
    if (!isInstant(tell.sent_at)) return failure(INVALID_TELL)
    const receiver = network.games.findInAnyCase(toGame)
    const to = receiver && network.find(receiver.short_name)
    const from = network.find(game.short_name)
    if (receiver === undefined || to === undefined || from === undefined) {
      return failure('game offline')
    }
    if (!to.supports.includes('tells')) return failure('not supported')
    if (!isAmong(from.players, tell.from_name)) return failure('sending player offline')
    if (!isAmong(to.players, tell.to_name)) return failure('receiving player offline')
    network.publish(topics.tells(receiver.short_name), {
      event: 'tells/receive',
      payload: { from_game: game.short_name, ...tell }
    })
  }
}

/** Tells whether there is such a day and such a time: the schema has looked at the digits only. */
function isInstant (sentAt: string): boolean {
  const seconds = sentAt.slice(0, 19)
  const at = new Date(`${seconds}Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(seconds)
}

function isAmong (players: readonly string[], name: string): boolean {
  return players.some((player) => player.toLowerCase() === name.toLowerCase())
}
