import { Type, type Static } from '@fastify/type-provider-typebox'
import { Compile } from 'typebox/compile'
import { Names } from './payloads.ts'

/** The state of a game on one node. It replaces the older report of the same node. */
const ReportSchema = Type.Object({
  node: Type.String(),
  game: Type.String(),
  /** The time since the last sign of life on that node. */
  ageMs: Type.Number({ minimum: 0 }),
  sockets: Type.Integer({ minimum: 0 }),
  supports: Names,
  channels: Names,
  userAgent: Type.String(),
  players: Names,
  /** The version of the player list. Of all reports the list with the highest edition is used. */
  edition: Type.Integer({ minimum: 0 })
})
export type Report = Static<typeof ReportSchema>
/** The state of a game's sockets on this node. */
export type Sighting = Pick<Report, 'game' | 'sockets' | 'supports' | 'channels' | 'userAgent'>

export const isReport = Compile(ReportSchema)
