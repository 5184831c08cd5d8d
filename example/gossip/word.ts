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
