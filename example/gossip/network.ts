import { setImmediate as turn } from 'node:timers/promises'
import type { Websock } from 'fastify-websock'
import type { Achievement } from './achievement.ts'
import { Directory } from './directory.ts'
import type { OnlineGame } from './entry.ts'
import type { KnownGame, KnownGames } from './known-games.ts'
import type { Session } from './session.ts'
import type { Sighting } from './report.ts'

export interface NetworkOptions {
  readonly websock: Websock
  readonly games: KnownGames
  /**
   * A game is online for this time after its last sign of life, and gone this time after its last
   * socket.
   */
  readonly onlineForMs: number
  /** The time of a monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** The state that the sockets of this node share. */
export class Network {
  readonly games: KnownGames
  readonly now: () => number
  readonly #directory: Directory
  readonly #sessions = new Map<string, Set<Session>>()
  readonly #achievements = new Map<string, Map<string, Achievement>>()
  #turns: Promise<unknown> = Promise.resolve()

  constructor (options: NetworkOptions) {
    this.games = options.games
    this.now = options.now
    this.#directory = new Directory(options, (game) => this.#tellGone(game))
  }

  /** Finds an online game. */
  find (game: string): OnlineGame | undefined {
    return this.#directory.find(game)
  }

  /**
   * Adds a socket that has authenticated. False when there is no room for the players of its game.
   */
  enter (session: Session, game: KnownGame, players?: readonly string[]): boolean {
    const sessions = this.#sessions.get(game.short_name) ?? new Set()
    this.#sessions.set(game.short_name, sessions.add(session))
    session.game = game
    const isIn = this.see(session, players)
    if (!isIn) sessions.delete(session)
    return isIn
  }

  leave (session: Session): void {
    if (this.#sessions.get(session.game.short_name)?.delete(session) === true) {
      this.#directory.leave(this.#sightingOf(session))
    }
  }

  /**
   * Reports a sign of life: the game is online for another 60 s, with these players or the previous
   * ones. When there is no room for the players it does nothing and returns false.
   */
  see (session: Session, players?: readonly string[]): boolean {
    return this.#directory.see(
      this.#sightingOf(session),
      players?.filter((name) => name !== '')
    )
  }

  /**
   * Resolves in a later turn of the event loop. Each caller gets its own turn, so that other
   * sockets are served in between.
   */
  nextTurn (): Promise<unknown> {
    return (this.#turns = this.#turns.then(() => turn()))
  }

  achievementsOf ({ short_name: game }: KnownGame): Map<string, Achievement> {
    const known = this.#achievements.get(game) ?? new Map<string, Achievement>()
    this.#achievements.set(game, known)
    return known
  }

  #sightingOf ({ game: { short_name: game }, userAgent }: Session): Sighting {
    const sessions = [...this.#sessions.get(game) ?? []]
    return {
      game,
      sockets: sessions.length,
      supports: [...new Set(sessions.flatMap(({ supports }) => [...supports]))],
      channels: [...new Set(sessions.flatMap(({ channels }) => [...channels]))],
      userAgent
    }
  }

  #tellGone (game: string): void {
    for (const { supports, ref } of [...this.#sessions.values()].flatMap((of) => [...of])) {
      if (supports.has('games')) ref.post({ event: 'games/disconnect', payload: { game } })
    }
  }
}
