import { setTimeout as pause } from 'node:timers/promises'
import { bytesOf, Entry, type Known, type OnlineGame } from './entry.ts'
import type { NetworkOptions } from './network.ts'
import { MAX_FRAME_BYTES } from './payloads.ts'
import { topics } from './topics.ts'
import { isWord, type Sighting, type Word } from './word.ts'

/** Of the players of all games, as JSON. */
const MAX_PLAYERS_BYTES = 16 * 1024 * 1024
/** A new node is told of all games at this rate, which a broker keeps up with. */
const BYTES_PER_MS = 16 * 1024

/**
 * Each node publishes its word about a game at each sign of life, and keeps the words of all nodes,
 * its own among them, for 60 s. Presence tells which nodes there are: a new one is told all words,
 * those of a dead one are forgotten.
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
      // Of other nodes, so it may be anything.
      handleInfo: (word) => { if (isWord.Check(word)) this.#take(word) },
      handlePresence: ({ joins, leaves }) => {
        const joined = new Set(joins.map(({ key }) => key))
        for (const { key } of leaves) if (!joined.has(key)) this.#forgetNode(key)
        if (joined.size > (joined.has(this.#node) ? 1 : 0)) void this.#repeat()
      },
      // With another meta this node has joined anew, so the others repeat what was missed.
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
   * The game has been seen, now: with these players, or with those that it had. False, and nothing
   * is done, when there is no room for them.
   */
  see (sighting: Sighting, players?: readonly string[]): boolean {
    const entry = this.#entries.get(sighting.game)
    if (players !== undefined && !this.#hasRoom(players, entry)) return false
    this.#publish({
      ...sighting,
      node: this.#node,
      ageMs: 0,
      players: [...players ?? entry?.players ?? []],
      // After a game was offline the editions begin anew: by the clock, so above the older ones.
      edition: players ? Math.max(Date.now(), (entry?.edition ?? 0) + 1) : entry?.edition ?? 0
    })
    return true
  }

  /** A socket has gone, which is no sign of life. */
  leave (sighting: Sighting): void {
    const own = this.#entries.get(sighting.game)?.words.get(this.#node)
    // Without a socket the game is online with what it had.
    if (own === undefined) return
    this.#publish({ ...this.#wordOf(own), ...(sighting.sockets > 0 ? sighting : { sockets: 0 }) })
  }

  #publish (word: Word): void {
    this.#network.websock.publish(topics.directory, word)
  }

  #wordOf ({ isOnline, seenAt, expiry, ...word }: Known): Word {
    return { ...word, ageMs: Math.max(0, this.#network.now() - seenAt) }
  }

  #take (word: Word): void {
    const { games, onlineForMs, now } = this.#network
    if (games.find(word.game) === undefined) return
    const entry = this.#entries.get(word.game) ?? new Entry()
    this.#entries.set(word.game, entry)
    clearTimeout(entry.words.get(word.node)?.expiry)
    const leftMs = onlineForMs - word.ageMs
    const known: Known = {
      ...word,
      isOnline: leftMs > 0,
      seenAt: now() - word.ageMs,
      expiry: setTimeout(() => this.#expire(known, entry), Math.max(leftMs, 1)).unref()
    }
    entry.words.set(word.node, known)
    if (word.edition > entry.edition && this.#hasRoom(word.players, entry)) {
      this.#playersBytes += entry.setPlayers(word.players, word.edition)
    }
    this.#update(word.game, entry)
  }

  /** A game that has sockets, but gives no sign of life, is offline, and not gone. */
  #expire (word: Known, entry: Entry): void {
    word.isOnline = false
    if (word.sockets === 0) entry.words.delete(word.node)
    this.#update(word.game, entry)
  }

  #forgetNode (node: string): void {
    for (const [game, entry] of this.#entries) {
      clearTimeout(entry.words.get(node)?.expiry)
      if (entry.words.delete(node)) this.#update(game, entry)
    }
  }

  #update (game: string, entry: Entry): void {
    const hadSockets = entry.sockets > 0
    this.#playersBytes += entry.update()
    if (entry.sockets > 0) clearTimeout(entry.gone)
    else if (hadSockets) {
      entry.gone = setTimeout(() => {
        if (entry.words.size === 0) this.#entries.delete(game)
        this.#onGone(game)
      }, this.#network.onlineForMs).unref()
    }
  }

  #hasRoom (players: readonly string[], { playersBytes } = new Entry()): boolean {
    const bytes = bytesOf(players)
    const sum = this.#playersBytes - playersBytes + bytes
    return bytes <= playersBytes || (bytes <= MAX_FRAME_BYTES && sum <= MAX_PLAYERS_BYTES)
  }

  /** Publishes all of this node's words once more. */
  async #repeat (): Promise<void> {
    let bytes = 0
    for (const { words, playersBytes } of this.#entries.values()) {
      const own = words.get(this.#node)
      if (own === undefined) continue
      this.#publish(this.#wordOf(own))
      bytes += playersBytes + 1024
      if (bytes < 4 * BYTES_PER_MS) continue
      await pause(bytes / BYTES_PER_MS, undefined, { ref: false })
      bytes = 0
    }
  }
}
