import type { AnyHandler } from '../connection/handler.ts'
import { TypeToken } from './typed.ts'
import { membersOf } from './union.ts'

interface Property {
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Property[]
  readonly $ref?: unknown
  readonly allOf?: unknown
}

/** One object schema that a message may match. */
interface ObjectSchema {
  readonly type?: unknown
  readonly properties: Readonly<Record<string, Property>>
  readonly required?: readonly string[]
}

/**
 * The values of one field in all members. `known`: some member has the field. `open`: a member
 * allows other values than literal strings, or a message without the field.
 */
interface Field {
  readonly values: ReadonlySet<string>
  readonly open: boolean
  readonly known: boolean
}

/**
 * Compares a handler with its `receive` schema. Returns the problem and its remedy, or undefined.
 *
 * Compares fields and values only in JSON Schemas that contain their members. Members behind a
 * `$ref`, and other kinds of schema, are not examined: a message without a callback is then
 * reported when it arrives.
 */
export function findUnhandled (
  { on = {}, handleIn, guard }: Pick<AnyHandler, 'on' | 'handleIn' | 'guard'>,
  receive: object | undefined
): string | undefined {
  const fields = Object.entries(on as Readonly<Record<string, object>>)
  if (receive === undefined && fields.length > 0) {
    return '`on` needs a `receive` schema: add `schema.websocket.receive`, or handle messages in ' +
      '`handleIn`'
  }
  if (fields.length === 0 && handleIn === undefined) {
    if (receive !== undefined) {
      return '`schema.websocket.receive` is declared, but nothing handles its messages: add ' +
        '`handleIn` or `on`'
    }
    return (
      guard &&
      '`guard` is called before the callback of a message, but there is none: add `handleIn`, or ' +
      '`on` with a `receive` schema'
    )
  }
  const members =
    receive === undefined || receive instanceof TypeToken ? undefined : objectsOf(receive)
  if (members === undefined) return undefined
  for (const [name, callbacks] of fields) {
    if (
      members.some(
        ({ properties }) => Object.hasOwn(properties, name) && isHidden(properties[name])
      )
    ) {
      continue
    }
    const problem = compareField(
      name,
      Object.keys(callbacks),
      readField(members, name),
      handleIn !== undefined
    )
    if (problem !== undefined) return problem
  }
  return undefined
}

function compareField (
  name: string,
  named: readonly string[],
  { values, open, known }: Field,
  rest: boolean
): string | undefined {
  if (!known) return `\`on.${name}\`: the \`receive\` schema has no field \`${name}\``
  const unknown = named.find((value) => !values.has(value))
  if (unknown !== undefined && !open) {
    return `\`on.${name}.${unknown}\`: in the \`receive\` schema \`${name}\` is never ` +
      `${JSON.stringify(unknown)}, but one of ${[...values].join(', ')}`
  }
  if (rest) return undefined
  if (open) {
    return `\`on.${name}\` cannot handle messages whose \`${name}\` is no literal string: add a ` +
      '`handleIn` for them'
  }
  const missing = [...values].filter((value) => !named.includes(value))
  return missing.length === 0
    ? undefined
    : `\`on.${name}\` has no callback for ${missing.join(', ')}: add it, or a \`handleIn\` for ` +
      'the rest'
}

/** The object schemas that a message may match. Undefined when they cannot be examined. */
function objectsOf (schema: object): readonly ObjectSchema[] | undefined {
  const members = membersOf(schema)
  if (members.length === 0) {
    const { properties, $ref, allOf, anyOf, oneOf } = schema as Record<string, unknown>
    const plain =
      $ref === undefined && allOf === undefined && anyOf === undefined && oneOf === undefined
    return plain && typeof properties === 'object' && properties !== null
      ? [schema as ObjectSchema]
      : undefined
  }
  const lists = members.map(objectsOf)
  if (!lists.every((list) => list !== undefined)) return undefined
  const { type } = schema as { type?: unknown }
  return lists.flat().map((member) => ({ type, ...member }))
}

function readField (members: readonly ObjectSchema[], name: string): Field {
  const lists = members.map(({ properties }) =>
    Object.hasOwn(properties, name) ? valuesOf(properties[name] ?? {}) : undefined
  )
  return {
    values: new Set(lists.flatMap((list) => list ?? [])),
    open:
      lists.some((list) => list === undefined || list.length === 0) ||
      !members.every((member) => requires(member, name)),
    known: lists.some((list) => list !== undefined)
  }
}

function isHidden (property: Property | undefined): boolean {
  return (
    property?.$ref !== undefined ||
    property?.allOf !== undefined ||
    property?.anyOf?.some(isHidden) === true
  )
}

/** True when every matching message is an object with this field. */
function requires ({ type, required }: ObjectSchema, name: string): boolean {
  return type === 'object' && required?.includes(name) === true
}

/** The literal strings that a property allows; none when it allows other values, too. */
function valuesOf (property: Property): readonly string[] {
  if (property.anyOf !== undefined) {
    const lists = property.anyOf.map(valuesOf)
    return lists.every((list) => list.length > 0) ? lists.flat() : []
  }
  const values: readonly unknown[] = property.enum ?? [property.const]
  return values.every((value) => typeof value === 'string') ? values : []
}
