import { FST_WEBSOCK_ASYNC } from '../errors.ts'
import { ignoreRejection, isThenable, messageOf } from '../foreign-value.ts'
import type { MessageCompilers, ValidateFunction } from './compilers.ts'
import { findDiscriminatedUnion, readDiscriminant } from './union.ts'

/**
 * The result of a check for a message that does not match. Returned, not thrown, because a hostile
 * client may send many such messages.
 */
export class Mismatch {
  constructor (readonly message: string, readonly cause?: unknown) {}
}

/**
 * Checks one message. Returns the message as the schema's own library returns it, or a {@link
 * Mismatch}.
 */
export type Check = (message: unknown) => unknown

/**
 * Builds the check of one schema. In a union with a discriminating field, only the member with the
 * value of that field is checked, and the error concerns that member only.
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
    throw new TypeError('schemas of messages must be synchronous, but this one has `$async`')
  }
  return (message) => {
    let result: unknown
    try {
      result = validate(message)
    } catch (error) {
      // For example, a recursive schema and a message that is nested too deeply for the stack.
      return new Mismatch('message cannot be validated', error)
    }
    if (result === false) return new Mismatch(textOf(validate.errors))
    if (typeof result !== 'object' || result === null) return message
    // An async validator that has no `$async` to detect it by at start.
    refusePromise(result, 'the validator of the schema')
    const { error, value } = result as { error?: unknown, value?: unknown }
    if (error !== undefined && error !== null) {
      return new Mismatch(
        error instanceof Error ? messageOf(error).slice(0, 400) : textOf(error),
        error
      )
    }
    // As in Fastify: a validator that returns no value has left the message unchanged.
    return value === undefined ? message : value
  }
}

/** Throws FST_WEBSOCK_ASYNC for a promise. Handles its rejection, which would end the process. */
export function refusePromise (value: unknown, source: string): void {
  if (!isThenable(value)) return
  ignoreRejection(value)
  throw new FST_WEBSOCK_ASYNC(source)
}

function textOf (errors: unknown): string {
  const [first] = Array.isArray(errors)
    ? (errors as Array<{ instancePath?: string, message?: string }>)
    : []
  // A path may contain a key from the message, which may be as long as the message.
  return `message${first?.instancePath?.slice(0, 200) ?? ''} ` +
    `${first?.message?.slice(0, 200) ?? 'does not match its schema'}`
}
