import { randomUUID } from 'node:crypto'
import { Type, type Static } from '@fastify/type-provider-typebox'

/** Any JSON: what is wrong with it is told by field, in words. */
const Any = Type.Optional(Type.Unknown())

export const AchievementAttributesSchema = Type.Object({
  key: Any,
  title: Any,
  description: Any,
  display: Any,
  points: Any,
  partial_progress: Any,
  total_progress: Any
})
export type AchievementAttributes = Static<typeof AchievementAttributesSchema>

export const AchievementSchema = Type.Object({
  key: Type.String(),
  title: Type.String(),
  description: Type.Union([Type.String(), Type.Null()]),
  display: Type.Boolean(),
  points: Type.Integer(),
  partial_progress: Type.Boolean(),
  total_progress: Type.Union([Type.Integer(), Type.Null()])
})
export type Achievement = Static<typeof AchievementSchema>

export const AchievementErrorsSchema = Type.Object({
  errors: Type.Record(Type.String(), Type.Array(Type.String()))
})
export type Errors = Static<typeof AchievementErrorsSchema>['errors']

const DEFAULTS = {
  description: null,
  display: true,
  points: 0,
  partial_progress: false,
  total_progress: null
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isBoolean = (value: unknown): boolean => typeof value === 'boolean'

type Field = keyof Omit<Achievement, 'key'>
interface Rule {
  readonly needed: boolean
  readonly is: (value: unknown) => boolean
  readonly maxLength?: number
}

const FIELDS: Readonly<Record<Field, Rule>> = {
  title: { needed: true, is: isText, maxLength: 255 },
  description: { needed: false, is: isText, maxLength: 4096 },
  display: { needed: true, is: isBoolean },
  points: { needed: true, is: Number.isSafeInteger },
  partial_progress: { needed: true, is: isBoolean },
  total_progress: { needed: false, is: Number.isSafeInteger }
}

/** The achievement that comes of `before` with these attributes; or what is wrong with them. */
export function buildAchievement (
  attributes: AchievementAttributes,
  before?: Achievement
): { achievement: Achievement } | { errors: Errors } {
  const built: Record<string, unknown> = {
    key: before?.key ?? randomUUID(),
    title: null,
    ...DEFAULTS,
    ...before
  }
  const errors: Errors = {}
  for (const [field, { needed, is, maxLength = Infinity }] of Object.entries(FIELDS) as Array<
    [Field, Rule]
  >) {
    // No others: it is kept. What is empty is not there.
    const value = (built[field] =
      attributes[field] === '' ? null : field in attributes ? attributes[field] : built[field])
    const blank = value === null || (typeof value === 'string' && value.trim() === '')
    if (blank && (needed || (field === 'total_progress' && built['partial_progress'] === true))) {
      errors[field] = ["can't be blank"]
    } else if (value !== null && !is(value)) errors[field] = ['is invalid']
    else if (typeof value === 'string' && value.length > maxLength) {
      errors[field] = [`should be at most ${maxLength} character(s)`]
    }
  }
  const points = built['points'] as number
  if (errors['points'] === undefined && points < 0) {
    errors['points'] = ['must be greater than or equal to 0']
  }
  if (errors['points'] === undefined && points > 100) {
    errors['points'] = ['must be less than or equal to 100']
  }
  return Object.keys(errors).length > 0 ? { errors } : { achievement: built as Achievement }
}
