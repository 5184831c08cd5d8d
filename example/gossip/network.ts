import type { Websock } from 'fastify-websock'
import type { Achievement } from './achievement.ts'
import { Directory, type OnlineGame } from './directory.ts'
import type { KnownGame, KnownGames } from './known-games.ts'
import type { News } from './messages.ts'
import type { Session } from './session.ts'
import { topics } from './topics.ts'
import type { ToPage } from './watch.ts'

export interface NetworkOptions {
  readonly websock: Websock
  readonly games: KnownGames
  /** How long after it was seen a game is online. */
  readonly onlineForMs: number
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
}

/**
 * All that is not one socket's own: the games, who is online on any node, and the way to tell them.
 */
export class Network {
  readonly games: KnownGames
  readonly now: () => number
  readonly #websock: Websock
  readonly #directory: Directory
  /** Of this node. */
  readonly #sessions = new Map<string, Set<Session>>()
  readonly #achievements = new Map<string, Map<string, Achievement>>()

  constructor ({ websock, games, onlineForMs, now }: NetworkOptions) {
    this.games = games
    this.now = now
    this.#websock = websock
    this.#directory = new Directory(websock, onlineForMs)
  }

  find (game: string): OnlineGame | undefined {
    return this.#directory.find(game)
  }

  isOnline (game: string): boolean {
    return this.find(game) !== undefined
  }

  /** Those that show themselves, but for one. */
  othersThan (game?: KnownGame): KnownGame[] {
    return [...this.games].filter((other) => other !== game && other.display !== false)
  }

  enter (session: Session): void {
    const game = session.game.short_name
    const sessions = this.#sessions.get(game) ?? new Set()
    this.#sessions.set(game, sessions.add(session))
    // Ends by itself with the socket, and with the node.
    session.socket.ws.track(topics.sockets, game)
  }

  leave (session: Session): void {
    this.#sessions.get(session.game.short_name)?.delete(session)
  }

  /** The game is online from now on for 60 s: with these players, or with those that it had. */
  see ({ game: { short_name: game }, userAgent }: Session, players?: readonly string[]): void {
    const sessions = [...this.#sessions.get(game) ?? []]
    this.#directory.see(game, {
      supports: [...new Set(sessions.flatMap(({ supports }) => [...supports]))],
      channels: [...new Set(sessions.flatMap(({ channels }) => [...channels]))],
      userAgent,
      ...(players !== undefined && { players: players.filter((name) => name !== '') })
    })
  }

  /** To the mailbox of each socket that has subscribed, on all nodes. */
  publish (topic: string, news: News): void {
    this.#websock.publish(topic, news)
  }

  /** To the mailbox of each socket of this node that has the flag. */
  tellOwn (flag: string, news: News): void {
    for (const sessions of this.#sessions.values()) {
      for (const { supports, socket } of sessions) if (supports.has(flag)) socket.ws.ref.post(news)
    }
  }

  /** Straight to the pages that watch, on all nodes. */
  showWatchers (message: ToPage): void {
    this.#websock.broadcast(topics.watchers, message)
  }

  achievementsOf ({ short_name: game }: KnownGame): Map<string, Achievement> {
    const known = this.#achievements.get(game) ?? new Map<string, Achievement>()
    this.#achievements.set(game, known)
    return known
  }
}
