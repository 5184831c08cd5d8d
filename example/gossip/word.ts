import { Type, type Static } from '@fastify/type-provider-typebox'
import { Compile } from 'typebox/compile'
import { Names } from './payloads.ts'

/** What one node knows of a game that it has seen. It replaces the older word of the same node. */
const WordSchema = Type.Object({
  node: Type.String(),
  game: Type.String(),
  /** Since the game was seen on that node. */
  ageMs: Type.Number({ minimum: 0 }),
  sockets: Type.Integer({ minimum: 0 }),
  supports: Names,
  channels: Names,
  userAgent: Type.String(),
  players: Names,
  /** Of the players. Of all nodes' words the newest edition counts. */
  edition: Type.Integer({ minimum: 0 })
})
export type Word = Static<typeof WordSchema>
/** What the sockets of this node make of a game. */
export type Sighting = Pick<Word, 'game' | 'sockets' | 'supports' | 'channels' | 'userAgent'>

export const isWord = Compile(WordSchema)

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

/** Of nodes where the game has sockets the flags and channels count, or else of all. */
export function merge (words: readonly Known[], players: readonly string[]): OnlineGame {
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
