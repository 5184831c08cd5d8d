import { inspect } from 'node:util'
import { FST_WEBSOCK_INVALID_OPTION, FST_WEBSOCK_UNKNOWN_OPTION } from '../errors.ts'

/**
 * Checks the value of one option. Returns the words that complete "must be …" for an invalid
 * value, and undefined for a valid one.
 */
export type OptionRule = (value: unknown) => string | undefined

/**
 * Checks the options of an engine and returns them without the undefined ones. Throws
 * FST_WEBSOCK_INVALID_OPTION, FST_WEBSOCK_UNKNOWN_OPTION.
 */
export function checkEngineOptions<O extends object> (
  given: unknown,
  rules: { readonly [K in keyof Required<O>]: OptionRule },
  where: string
): O {
  if (typeof given !== 'object' || given === null) {
    throw new FST_WEBSOCK_INVALID_OPTION(`list of ${where}`, 'an object', show(given))
  }
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  for (const [name, value] of set) {
    const rule = Object.hasOwn(rules, name) ? rules[name as keyof O] : undefined
    if (rule === undefined) {
      throw new FST_WEBSOCK_UNKNOWN_OPTION(name, `of ${where}`, Object.keys(rules).join(', '))
    }
    const words = rule(value)
    if (words !== undefined) {
      throw new FST_WEBSOCK_INVALID_OPTION(`\`${name}\` of ${where}`, words, show(value))
    }
  }
  return Object.fromEntries(set) as O
}

export function isBoolean (value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'a boolean'
}

export function isText (maxLength: number): OptionRule {
  return (value) =>
    typeof value === 'string' && value.length <= maxLength
      ? undefined
      : `a string of at most ${maxLength} characters`
}

function show (value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity }).slice(0, 80)
}
