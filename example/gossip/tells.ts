// Section 7: private messages from player to player.
import { confirm, fail } from './answer.ts'
import type { Family } from './session.ts'
import { topics } from './topics.ts'

export const tells: Family<'tells/send'> = {
  'tells/send' (request, session, ws) {
    const { network, game } = session
    const { to_game: toGame, ...tell } = request.payload
    const refuse = (error: string) => fail(error, request, session, ws)
    if (!isInstant(tell.sent_at)) return refuse('invalid payload')
    const receiver = network.games.findInAnyCase(toGame)
    const to = receiver && network.find(receiver.short_name)
    const from = network.find(game.short_name)
    if (!receiver || !to || !from) return refuse('game offline')
    if (!to.supports.includes('tells')) return refuse('not supported')
    if (!isAmong(from.players, tell.from_name)) return refuse('sending player offline')
    if (!isAmong(to.players, tell.to_name)) return refuse('receiving player offline')
    // Published by the app, not by `ws`, because `ws.publish` leaves this socket out, and its game
    // may be the receiver.
    ws.server.websock.publish(topics.tells(receiver.short_name), {
      event: 'tells/receive',
      payload: { from_game: game.short_name, ...tell }
    })
    return confirm(request, session, ws)
  }
}

/** Tells whether the date and the time exist. The schema checks the digits. */
function isInstant (sentAt: string): boolean {
  const seconds = sentAt.slice(0, 19)
  const at = new Date(`${seconds}Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(seconds)
}

function isAmong (players: readonly string[], name: string): boolean {
  return players.some((player) => player.toLowerCase() === name.toLowerCase())
}
