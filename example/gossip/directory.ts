import { setTimeout as pause } from 'node:timers/promises'
import { bytesOf, Entry, type StoredReport, type OnlineGame } from './entry.ts'
import type { NetworkOptions } from './network.ts'
import { MAX_FRAME_BYTES } from './payloads.ts'
import { topics } from './topics.ts'
import { isReport, type Sighting, type Report } from './report.ts'

/** The most bytes of the player lists of all games, as JSON. */
const MAX_PLAYERS_BYTES = 16 * 1024 * 1024
/** Reports are repeated to a new node at this rate, so that a broker keeps up. */
const BYTES_PER_MS = 16 * 1024

/**
 * The games that are online on any node.
 *
 * Each node publishes a report about a game at each sign of life, and keeps the reports of all
 * nodes, also its own, for 60 s. Presence lists the nodes. The others repeat their reports for a
 * new node, and delete the reports of a dead node.
 */
export class Directory {
  readonly #network: NetworkOptions
  readonly #onGone: (game: string) => void
  readonly #node = crypto.randomUUID()
  readonly #entries = new Map<string, Entry>()
  #playersBytes = 0
  #gaps = 0

  /** `onGone` is called on each node when a game has had no socket on any node for 60 s. */
  constructor (network: NetworkOptions, onGone: (game: string) => void) {
    this.#network = network
    this.#onGone = onGone
    const { websock } = network
    websock.subscribe(topics.directory, {
      // Checked, because a report of another node may be invalid.
      handleInfo: (report) => { if (isReport.Check(report)) this.#take(report) },
      handlePresence: ({ joins, leaves }) => {
        const joined = new Set(joins.map(({ key }) => key))
        for (const { key } of leaves) if (!joined.has(key)) this.#forgetNode(key)
        if (joined.size > (joined.has(this.#node) ? 1 : 0)) void this.#repeat()
      },
      // Another meta counts as a new join of this node, so the others repeat their reports.
      handleGap: () => websock.track(topics.directory, this.#node, ++this.#gaps)
    })
    void websock.subscriptionReady(topics.directory).then((isReady) => {
      if (isReady) websock.track(topics.directory, this.#node, this.#gaps)
    })
  }

  find (game: string): OnlineGame | undefined {
    return this.#entries.get(game)?.online
  }

  /**
   * Reports a sign of life of a game, with these players or the previous ones. When there is no
   * room for the players it does nothing and returns false.
   */
  see (sighting: Sighting, players?: readonly string[]): boolean {
    const entry = this.#entries.get(sighting.game)
    if (players !== undefined && !this.#hasRoom(players, entry)) return false
    this.#publish({
      ...sighting,
      node: this.#node,
      ageMs: 0,
      players: [...players ?? entry?.players ?? []],
      // After a game was offline its editions start again. They start at the clock, so above the
      // older ones.
      edition: players ? Math.max(Date.now(), (entry?.edition ?? 0) + 1) : entry?.edition ?? 0
    })
    return true
  }

  /** Reports the end of a socket, which is not a sign of life. */
  leave (sighting: Sighting): void {
    const own = this.#entries.get(sighting.game)?.reports.get(this.#node)
    // Without a socket the game keeps its flags and channels while it is online.
    if (own === undefined) return
    this.#publish({ ...this.#reportOf(own), ...(sighting.sockets > 0 ? sighting : { sockets: 0 }) })
  }

  #publish (report: Report): void {
    this.#network.websock.publish(topics.directory, report)
  }

  #reportOf ({ isOnline, seenAt, expiry, ...report }: StoredReport): Report {
    return { ...report, ageMs: Math.max(0, this.#network.now() - seenAt) }
  }

  #take (report: Report): void {
    const { games, onlineForMs, now } = this.#network
    if (games.find(report.game) === undefined) return
    const entry = this.#entries.get(report.game) ?? new Entry()
    this.#entries.set(report.game, entry)
    clearTimeout(entry.reports.get(report.node)?.expiry)
    const leftMs = onlineForMs - report.ageMs
    const known: StoredReport = {
      ...report,
      isOnline: leftMs > 0,
      seenAt: now() - report.ageMs,
      expiry: setTimeout(() => this.#expire(known, entry), Math.max(leftMs, 1)).unref()
    }
    entry.reports.set(report.node, known)
    if (report.edition > entry.edition && this.#hasRoom(report.players, entry)) {
      this.#playersBytes += entry.setPlayers(report.players, report.edition)
    }
    this.#update(report.game, entry)
  }

  /** A game with sockets but without a sign of life is offline, but not gone. */
  #expire (report: StoredReport, entry: Entry): void {
    report.isOnline = false
    if (report.sockets === 0) entry.reports.delete(report.node)
    this.#update(report.game, entry)
  }

  #forgetNode (node: string): void {
    for (const [game, entry] of this.#entries) {
      clearTimeout(entry.reports.get(node)?.expiry)
      if (entry.reports.delete(node)) this.#update(game, entry)
    }
  }

  #update (game: string, entry: Entry): void {
    const hadSockets = entry.sockets > 0
    this.#playersBytes += entry.update()
    if (entry.sockets > 0) clearTimeout(entry.gone)
    else if (hadSockets) {
      entry.gone = setTimeout(() => {
        if (entry.reports.size === 0) this.#entries.delete(game)
        this.#onGone(game)
      }, this.#network.onlineForMs).unref()
    }
  }

  #hasRoom (players: readonly string[], { playersBytes } = new Entry()): boolean {
    const bytes = bytesOf(players)
    const sum = this.#playersBytes - playersBytes + bytes
    return bytes <= playersBytes || (bytes <= MAX_FRAME_BYTES && sum <= MAX_PLAYERS_BYTES)
  }

  /** Publishes all reports of this node again. */
  async #repeat (): Promise<void> {
    let bytes = 0
    for (const { reports, playersBytes } of this.#entries.values()) {
      const own = reports.get(this.#node)
      if (own === undefined) continue
      this.#publish(this.#reportOf(own))
      bytes += playersBytes + 1024
      if (bytes < 4 * BYTES_PER_MS) continue
      await pause(bytes / BYTES_PER_MS, undefined, { ref: false })
      bytes = 0
    }
  }
}
