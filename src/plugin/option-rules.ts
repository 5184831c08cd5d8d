import type { Engine } from '../pubsub/engine.ts'
import { isOriginEntry } from '../upgrade/origin.ts'
import type { TextCodec } from '../wire/codec.ts'

/** A rule that an option is checked with. */
export interface Rule {
  /** Completes "must be …". */
  readonly words: string
  readonly fits: (value: unknown) => boolean
}

export const BOOLEAN: Rule = { words: 'a boolean', fits: (value) => typeof value === 'boolean' }

/** The smallest `maxPayloadBytes` of an engine: a presence message may have this size. */
export const MIN_PAYLOAD_BYTES = 256 * 1024

export function integer (min: number, max: number): Rule {
  return {
    words: `an integer from ${min} to ${max}`,
    fits: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max
  }
}

/** `"a", "b" or "c"`. */
export function oneOf (...values: readonly string[]): Rule {
  const quoted = values.map((value) => `"${value}"`)
  return {
    words: `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`,
    fits: (value) => values.some((known) => known === value)
  }
}

export function eachFits (given: object, rules: Readonly<Record<string, Rule>>): boolean {
  return Object.entries(given).every(
    ([name, value]) => Object.hasOwn(rules, name) && rules[name]?.fits(value) === true
  )
}

export function isRecord (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isCheckOrigin (value: unknown): boolean {
  const isFixed = typeof value === 'boolean' || typeof value === 'function'
  return isFixed || isListOf(value, isOriginEntry)
}

export function isToken (text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)
}

export function isListOf (value: unknown, fits: (item: string) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && fits(item))
}

export function isCodec (value: unknown): boolean {
  const codec = (value ?? {}) as Partial<Record<keyof TextCodec, unknown>>
  const { opcode, contentType, decode, encode } = codec
  return (
    (opcode === 'text' || opcode === 'binary') &&
    typeof decode === 'function' &&
    typeof encode === 'function' &&
    (contentType === undefined || typeof contentType === 'string')
  )
}

export function isEngine (value: unknown): boolean {
  const engine = (value ?? {}) as { readonly [K in keyof Engine]?: unknown }
  return (
    Number.isInteger(engine.maxPayloadBytes) &&
    (engine.maxPayloadBytes as number) >= MIN_PAYLOAD_BYTES &&
    (['start', 'subscribe', 'unsubscribe', 'publish', 'stop'] as const).every(
      (name) => typeof engine[name] === 'function'
    )
  )
}

export function isPerKey (value: unknown): boolean {
  const { max, key } = (
    typeof value === 'object' && value !== null ? value : { max: value, key: isPerKey }
  ) as { max?: unknown, key?: unknown }
  return integer(1, 16_777_216).fits(max) && typeof key === 'function'
}

export function isShutdownCode (value: unknown): boolean {
  return [1000, 1001, 1012, 1013].some((code) => code === value) || integer(3000, 4999).fits(value)
}
