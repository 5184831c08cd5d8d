import { topic } from 'fastify-websock'
import type { News } from './protocol.ts'
import type { Talk } from './watch.ts'
import type { Word } from './word.ts'

/** What is published where. The names are the same on all nodes. */
export const topics = {
  /** Each socket, authenticated or not. */
  everybody: topic<{ Info: News<'restart'> }>('gossip everybody'),
  /** The sockets with the flag `players`. */
  players: topic<{ Info: News<'players/sign-in' | 'players/sign-out'> }>('gossip players'),
  /** The sockets with the flag `games`. */
  games: topic<{ Info: News<'games/connect'> }>('gossip games'),
  /** The subscribers of a channel. */
  channel: (name: string) => topic<{ Info: News<'channels/broadcast'> }>(`gossip channel ${name}`),
  /** The sockets of a game with the flag `tells`. */
  tells: (game: string) => topic<{ Info: News<'tells/receive'> }>(`gossip tells ${game}`),
  /** The nodes: each is present under its name. */
  directory: topic<{ Info: Word }>('gossip directory'),
  /** The open pages. */
  pages: topic<{ Info: Talk }>('gossip pages')
}
