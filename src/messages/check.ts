import { FST_WEBSOCK_ASYNC } from '../errors.ts'
import { ignoreRejection, isThenable, messageOf } from '../foreign-value.ts'
import type { MessageCompilers, ValidateFunction } from './compilers.ts'
import { findDiscriminatedUnion, readDiscriminant } from './union.ts'

/**
 * What a check answers instead of the message when it does not match. Not thrown: a hostile client
 * makes many.
 */
export class Mismatch {
  constructor (readonly message: string, readonly cause?: unknown) {}
}

/** Gives the message, as the schema's own library returns it, or a {@link Mismatch}. */
export type Check = (message: unknown) => unknown

/**
 * Builds the check of one schema. A union on a discriminating field is looked up by that field:
 * one member is tried, and the error speaks of that member only.
 */
export function buildCheck (schema: object, compile: MessageCompilers['validator']): Check {
  const union = findDiscriminatedUnion(schema)
  if (union === undefined) return wrap(compile(schema))
  const { field } = union
  const checks = new Map(
    [...union.members].map(([value, member]) => [value, wrap(compile(member))])
  )
  const known = [...checks.keys()].join(', ')
  return (message) => {
    const check = checks.get(readDiscriminant(message, field) ?? '')
    return check === undefined
      ? new Mismatch(`message/${field} must be one of ${known}`)
      : check(message)
  }
}

function wrap (validate: ValidateFunction): Check {
  if (validate.$async === true) {
    throw new TypeError('a message cannot wait for an async schema ($async)')
  }
  return (message) => {
    let result: unknown
    try {
      result = validate(message)
    } catch (error) {
      // A recursive schema and a message nested deeper than the stack: the client's doing.
      return new Mismatch('message cannot be validated', error)
    }
    if (result === false) return new Mismatch(textOf(validate.errors))
    if (typeof result !== 'object' || result === null) return message
    // Of a compiler that does not say so at start.
    refusePromise(result, 'the validator of the schema')
    const { error, value } = result as { error?: unknown, value?: unknown }
    if (error !== undefined && error !== null) {
      return new Mismatch(
        error instanceof Error ? messageOf(error).slice(0, 400) : textOf(error),
        error
      )
    }
    // As in Fastify, a validator that gives no value has left the message as it is.
    return value === undefined ? message : value
  }
}

/** Throws FST_WEBSOCK_ASYNC for a promise, whose rejection would end the process. */
export function refusePromise (value: unknown, source: string): void {
  if (!isThenable(value)) return
  ignoreRejection(value)
  throw new FST_WEBSOCK_ASYNC(source)
}

function textOf (errors: unknown): string {
  const [first] = Array.isArray(errors)
    ? (errors as Array<{ instancePath?: string, message?: string }>)
    : []
  // A path can hold a key of the client's, as long as its message.
  return `message${first?.instancePath?.slice(0, 200) ?? ''} ${first?.message?.slice(0, 200) ?? 'does not match its schema'}`
}
