import { randomUUID } from 'node:crypto'
import type { Static } from '@fastify/type-provider-typebox'
import type { Achievement as AchievementSchema, Attributes, Refused } from './payloads.ts'

export type Achievement = Static<typeof AchievementSchema>
export type Errors = Static<typeof Refused>['errors']

const DEFAULTS = {
  title: null,
  description: null,
  display: true,
  points: 0,
  partial_progress: false,
  total_progress: null
}

const isText = (maxLength: number) => (value: unknown) =>
  typeof value !== 'string'
    ? 'is invalid'
    : value.length > maxLength && `should be at most ${maxLength} character(s)`
const isBoolean = (value: unknown) => typeof value !== 'boolean' && 'is invalid'
const isInteger = (value: unknown) => !Number.isSafeInteger(value) && 'is invalid'
const isPoints = (value: unknown) => isInteger(value) ||
  (Number(value) < 0 && 'must be greater than or equal to 0') ||
  (Number(value) > 100 && 'must be less than or equal to 100')

/** Each field with its check, and whether it is required. */
const FIELDS = [
  ['title', isText(255), true],
  ['description', isText(4096), false],
  ['display', isBoolean, true],
  ['points', isPoints, true],
  ['partial_progress', isBoolean, true],
  ['total_progress', isInteger, false]
] as const

/**
 * Applies attributes to a new achievement or to `before`. Returns the achievement, or the errors of
 * the attributes.
 */
export function buildAchievement (
  attributes: Static<typeof Attributes> | undefined,
  before?: Achievement
): { achievement: Achievement } | { errors: Errors } {
  const built: Record<string, unknown> = { key: randomUUID(), ...DEFAULTS, ...before }
  const errors: Errors = {}
  for (const [field, flawOf, isNeeded] of FIELDS) {
    const given = attributes?.[field]
    const value = built[field] = given === '' ? null : given === undefined ? built[field] : given
    const isBlank = value === null || (typeof value === 'string' && value.trim() === '')
    const isRequired =
      isNeeded || (field === 'total_progress' && built['partial_progress'] === true)
    const flaw = isBlank && isRequired ? "can't be blank" : value !== null && flawOf(value)
    if (typeof flaw === 'string') errors[field] = [flaw]
  }
  return Object.keys(errors).length > 0 ? { errors } : { achievement: built as Achievement }
}
