import type { Websock } from 'fastify-websock'
import type { Network } from './network.ts'
import { topics } from './topics.ts'

/**
 * Section 8: tells this node's sockets when a game has had no socket on any node for 60 s. Each
 * node counts for itself, so it makes no difference whether the last socket was closed or its node
 * has died.
 */
export function announceDisconnections (websock: Websock, network: Network, afterMs: number): void {
  const sockets = new Map<string, number>()
  const waiting = new Map<string, NodeJS.Timeout>()
  const count = (game: string, change: 1 | -1): void => {
    const now = (sockets.get(game) ?? 0) + change
    sockets.set(game, now)
    clearTimeout(waiting.get(game))
    waiting.delete(game)
    if (now > 0) return
    sockets.delete(game)
    waiting.set(game, setTimeout(() => {
      waiting.delete(game)
      network.tellOwn('games', { event: 'games/disconnect', payload: { game } })
    }, afterMs).unref())
  }
  websock.subscribe(topics.sockets, {
    handlePresence ({ joins, leaves }) {
      // Who comes first: a game that changes its socket is not gone in between.
      for (const { key } of joins) count(key, 1)
      for (const { key } of leaves) count(key, -1)
    }
  })
}
