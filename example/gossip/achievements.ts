// Section 9: what a game's players can achieve, in the memory of this node.
import { buildAchievement, type Achievement, type Errors } from './achievement.ts'
import { failure, SILENCE, WRONG_PAYLOAD, type Family } from './answer.ts'
import type { AnswerTo, Request } from './messages.ts'

const PAGE = 10
const MAX_POINTS = 500
/** Those without points are kept in memory too. */
const MAX_ACHIEVEMENTS = 500
const NOT_FOUND: Errors = { key: ['not found'] }

export const achievements: Family<
  'achievements/sync' | 'achievements/create' | 'achievements/update' | 'achievements/delete'
> = {
  'achievements/sync' (request, { game }, network) {
    if (!hasRef(request)) return withoutRef(request)
    const all = [...network.achievementsOf(game).values()].sort((a, b) =>
      a.title < b.title ? -1 : 1
    )
    const pages = Math.max(1, Math.ceil(all.length / PAGE))
    return Array.from({ length: pages }, (_, page) => ({
      payload: { total: all.length, achievements: all.slice(page * PAGE, (page + 1) * PAGE) }
    }))
  },

  'achievements/create' (request, { game }, network) {
    if (!hasRef(request)) return withoutRef(request)
    const known = network.achievementsOf(game)
    const built = buildAchievement(request.payload ?? {})
    if ('errors' in built) return refused(built.errors)
    if (sumOf(known.values()) >= MAX_POINTS || known.size >= MAX_ACHIEVEMENTS) {
      return refused({ points: ['no points left'] })
    }
    return keep(known, built.achievement)
  },

  'achievements/update' (request, { game }, network) {
    if (!hasRef(request)) return withoutRef(request)
    const known = network.achievementsOf(game)
    const before = known.get(keyOf(request))
    if (before === undefined) return refused(NOT_FOUND)
    const built = buildAchievement(request.payload ?? {}, before)
    return 'errors' in built ? refused(built.errors) : keep(known, built.achievement)
  },

  'achievements/delete' (request, { game }, network) {
    if (!hasRef(request)) return withoutRef(request)
    const key = keyOf(request)
    return network.achievementsOf(game).delete(key)
      ? [{ status: 'success', payload: { key } }]
      : refused(NOT_FOUND)
  }
}

/** What is no text is the key of none. */
function keyOf ({ payload }: Request<'achievements/update' | 'achievements/delete'>): string {
  return typeof payload?.key === 'string' ? payload.key : ''
}

function hasRef ({ ref }: { ref?: unknown }): boolean {
  return ref !== undefined && ref !== null
}

function withoutRef (request: object): ReturnType<typeof failure> | typeof SILENCE {
  return 'ref' in request ? failure(WRONG_PAYLOAD) : SILENCE
}

function refused (errors: Errors): [{ status: 'failure', payload: { errors: Errors } }] {
  return [{ status: 'failure', payload: { errors } }]
}

function keep (
  known: Map<string, Achievement>,
  achievement: Achievement
): [AnswerTo<'achievements/create'> & AnswerTo<'achievements/update'>] {
  known.set(achievement.key, achievement)
  return [{ status: 'success', payload: achievement }]
}

function sumOf (achievements: Iterable<Achievement>): number {
  let sum = 0
  for (const { points } of achievements) sum += points
  return sum
}
