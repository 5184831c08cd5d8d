// Section 9: the achievements of a game, in the memory of this node.
import { buildAchievement, type Achievement, type Errors } from './achievement.ts'
import { fail, TRY_AGAIN } from './answer.ts'
import type { Request } from './protocol.ts'
import type { Family, Result, Session, Ws } from './session.ts'

const PAGE = 10
const MAX_POINTS = 500
/** Limits the memory: achievements without points do not count against MAX_POINTS. */
const MAX_ACHIEVEMENTS = 500

type Change = Request<'achievements/create' | 'achievements/update' | 'achievements/delete'>

export const achievements: Family<Change['event'] | 'achievements/sync'> = {
  'achievements/sync' (request, session, ws) {
    if (!hasRef(request)) return withoutRef(request, session, ws)
    const { event, ref } = request
    const all = [...session.network.achievementsOf(session.game).values()]
      .sort((a, b) => a.title < b.title ? -1 : 1)
    return ws.push(Array.from({ length: Math.max(1, Math.ceil(all.length / PAGE)) }, (_, page) => {
      const achievements = all.slice(page * PAGE, (page + 1) * PAGE)
      return { event, ref, payload: { total: all.length, achievements } }
    }))
  },

  'achievements/create' (request, session, ws) {
    if (!hasRef(request)) return withoutRef(request, session, ws)
    const known = session.network.achievementsOf(session.game)
    const built = buildAchievement(request.payload)
    if ('errors' in built) return refuse(built.errors, request, ws)
    const points = [...known.values()].reduce((sum, { points }) => sum + points, 0)
    if (points >= MAX_POINTS || known.size >= MAX_ACHIEVEMENTS) {
      return refuse({ points: ['no points left'] }, request, ws)
    }
    return keep(built.achievement, known, request, ws)
  },

  'achievements/update' (request, session, ws) {
    if (!hasRef(request)) return withoutRef(request, session, ws)
    const known = session.network.achievementsOf(session.game)
    const before = known.get(keyOf(request))
    if (before === undefined) return refuse({ key: ['not found'] }, request, ws)
    const built = buildAchievement(request.payload, before)
    if ('errors' in built) return refuse(built.errors, request, ws)
    return keep(built.achievement, known, request, ws)
  },

  'achievements/delete' (request, session, ws) {
    if (!hasRef(request)) return withoutRef(request, session, ws)
    const key = keyOf(request)
    if (!session.network.achievementsOf(session.game).delete(key)) {
      return refuse({ key: ['not found'] }, request, ws)
    }
    return ws.push({ event: request.event, ref: request.ref, status: 'success', payload: { key } })
  }
}

function hasRef ({ ref }: Request): boolean {
  return ref !== undefined && ref !== null
}

function withoutRef (request: Request, session: Session, ws: Ws): Result {
  if ('ref' in request) return fail(TRY_AGAIN, request, session, ws)
}

function keyOf ({ payload }: Change): string {
  return typeof payload?.key === 'string' ? payload.key : ''
}

function refuse (errors: Errors, { event, ref }: Change, ws: Ws): Result {
  return ws.push({ event, ref, status: 'failure', payload: { errors } })
}

function keep (
  achievement: Achievement,
  known: Map<string, Achievement>,
  { event, ref }: Request<'achievements/create' | 'achievements/update'>,
  ws: Ws
): Result {
  known.set(achievement.key, achievement)
  return ws.push({ event, ref, status: 'success', payload: achievement })
}
