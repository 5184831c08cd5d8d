/** What is published where. The names are the same on all nodes. */
export const topics = {
  /** Each socket, authenticated or not. */
  everybody: 'gossip everybody',
  /** The sockets with the flag `players`, or `games`. */
  players: 'gossip players',
  games: 'gossip games',
  /** The subscribers of a channel. */
  channel: (name: string) => `gossip channel ${name}`,
  /** The sockets of a game with the flag `tells`. */
  tells: (game: string) => `gossip tells ${game}`,
  /** The pages that watch. */
  watchers: 'gossip watchers',
  /** Presence: each authenticated socket, by its game. */
  sockets: 'gossip sockets',
  /** Presence: what each node knows of a game that it has seen. */
  game: (game: string) => `gossip game ${game}`
}
