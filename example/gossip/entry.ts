import { isDeepStrictEqual } from 'node:util'
import type { Word } from './word.ts'

/** A game that has been seen within the last 60 s. */
export interface OnlineGame {
  readonly supports: readonly string[]
  readonly channels: readonly string[]
  readonly players: readonly string[]
  readonly userAgent: string
}

/** A word as it is kept. */
export interface Known extends Word {
  isOnline: boolean
  readonly seenAt: number
  readonly expiry: NodeJS.Timeout
}

/** What a node knows of one game. */
export class Entry {
  /** By node. */
  readonly words = new Map<string, Known>()
  players: readonly string[] = []
  playersBytes = bytesOf([])
  edition = 0
  sockets = 0
  /** Undefined: offline. Another object for each change. */
  online: OnlineGame | undefined
  gone: NodeJS.Timeout | undefined

  /** Returns by how many bytes the list has grown. */
  setPlayers (players: readonly string[], edition: number): number {
    const before = this.playersBytes
    Object.assign(this, { players, edition, playersBytes: bytesOf(players) })
    return this.playersBytes - before
  }

  /** After a change of the words. Returns by how many bytes the list of players has grown. */
  update (): number {
    const words = [...this.words.values()]
    this.sockets = words.reduce((sum, { sockets }) => sum + sockets, 0)
    const online = merge(words.filter(({ isOnline }) => isOnline), this.players)
    if (!isDeepStrictEqual(online, this.online)) this.online = online
    return online === undefined ? this.setPlayers([], this.edition) : 0
  }
}

/** Of nodes where the game has sockets the flags and channels count, or else of all. */
function merge (words: readonly Known[], players: readonly string[]): OnlineGame | undefined {
  if (words.length === 0) return undefined
  const withSockets = words.filter(({ sockets }) => sockets > 0)
  const counted = withSockets.length > 0 ? withSockets : words
  const newest = counted.reduce((a, b) => (b.edition > a.edition ? b : a))
  return {
    supports: [...new Set(counted.flatMap(({ supports }) => supports))],
    channels: [...new Set(counted.flatMap(({ channels }) => channels))],
    userAgent: newest.userAgent,
    players
  }
}

export function bytesOf (players: readonly string[]): number {
  return Buffer.byteLength(JSON.stringify(players))
}
