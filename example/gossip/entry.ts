import { isDeepStrictEqual } from 'node:util'
import type { Report } from './report.ts'

/** A game with a sign of life in the last 60 s. */
export interface OnlineGame {
  readonly supports: readonly string[]
  readonly channels: readonly string[]
  readonly players: readonly string[]
  readonly userAgent: string
}

/** A report with its expiry. */
export interface StoredReport extends Report {
  isOnline: boolean
  readonly seenAt: number
  readonly expiry: NodeJS.Timeout
}

/** The state of one game, from the reports of all nodes. */
export class Entry {
  /** The reports by node. */
  readonly reports = new Map<string, StoredReport>()
  players: readonly string[] = []
  playersBytes = bytesOf([])
  edition = 0
  sockets = 0
  /** Undefined when the game is offline. A new object for each change. */
  online: OnlineGame | undefined
  gone: NodeJS.Timeout | undefined

  /** Replaces the player list. Returns the growth in bytes. */
  setPlayers (players: readonly string[], edition: number): number {
    const before = this.playersBytes
    Object.assign(this, { players, edition, playersBytes: bytesOf(players) })
    return this.playersBytes - before
  }

  /** Must be called after a change of `reports`. Returns the growth of the player list in bytes. */
  update (): number {
    const reports = [...this.reports.values()]
    this.sockets = reports.reduce((sum, { sockets }) => sum + sockets, 0)
    const online = merge(reports.filter(({ isOnline }) => isOnline), this.players)
    if (!isDeepStrictEqual(online, this.online)) this.online = online
    return online === undefined ? this.setPlayers([], this.edition) : 0
  }
}

/** Merges the reports of nodes on which the game has sockets, or else of all nodes. */
function merge (
  reports: readonly StoredReport[],
  players: readonly string[]
): OnlineGame | undefined {
  if (reports.length === 0) return undefined
  const withSockets = reports.filter(({ sockets }) => sockets > 0)
  const counted = withSockets.length > 0 ? withSockets : reports
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
