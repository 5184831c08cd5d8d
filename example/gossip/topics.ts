import { topic } from 'fastify-websock'
import type { News } from './protocol.ts'
import type { Talk } from './watch.ts'
import type { Report } from './report.ts'

/** The topics, with the types of their infos. The names are the same on all nodes. */
export const topics = {
  /** All sockets, authenticated or not. */
  allSockets: topic<{ Info: News<'restart'> }>('gossip all sockets'),
  /** The sockets with the flag `players`. */
  players: topic<{ Info: News<'players/sign-in' | 'players/sign-out'> }>('gossip players'),
  /** The sockets with the flag `games`. */
  games: topic<{ Info: News<'games/connect'> }>('gossip games'),
  /** The subscribers of a channel. */
  channel: (name: string) => topic<{ Info: News<'channels/broadcast'> }>(`gossip channel ${name}`),
  /** The sockets of a game with the flag `tells`. */
  tells: (game: string) => topic<{ Info: News<'tells/receive'> }>(`gossip tells ${game}`),
  /** The nodes. Each node is present under its name. */
  directory: topic<{ Info: Report }>('gossip directory'),
  /** The open pages. */
  pages: topic<{ Info: Talk }>('gossip pages')
}
