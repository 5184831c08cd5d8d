/** The members of a union, by the value of the field that tells them apart. */
export interface DiscriminatedUnion {
  readonly field: string
  readonly members: ReadonlyMap<string, object>
}

interface ObjectSchema {
  readonly properties?: Readonly<
    Record<string, { readonly const?: unknown, readonly enum?: unknown } | undefined>
  >
  readonly required?: readonly string[]
}

// What may stand beside `anyOf` without changing what it means.
const HARMLESS = new Set([
  'anyOf',
  'oneOf',
  '$id',
  '$schema',
  'title',
  'description',
  'examples',
  'discriminator',
  'type'
])

/** The members of a JSON Schema union at the top, or none when it is no union. */
export function membersOf (schema: object): readonly object[] {
  const { anyOf, oneOf } = schema as { anyOf?: unknown, oneOf?: unknown }
  const members: unknown = anyOf ?? oneOf
  if (!Array.isArray(members) || (anyOf !== undefined && oneOf !== undefined)) return []
  const isHarmless = (key: string): boolean =>
    HARMLESS.has(key) ||
    (key === 'required' && members.every((member) => requiresAll(member, schema)))
  return Object.keys(schema).every(isHarmless) ? members as readonly object[] : []
}

/**
 * OpenAPI's `discriminator` asks for `required` beside the union. It adds nothing where each member
 * requires the same.
 */
function requiresAll (member: unknown, { required }: ObjectSchema): boolean {
  const own = (member as ObjectSchema | null)?.required ?? []
  return Array.isArray(required) && required.every((name) => own.includes(name as string))
}

/**
 * Finds the required field that has a literal string, another one in each member. Undefined when
 * there is none: such a union is tried member by member.
 */
export function findDiscriminatedUnion (schema: object): DiscriminatedUnion | undefined {
  const members = membersOf(schema) as readonly ObjectSchema[]
  if (members.some(refersToWhole)) return undefined
  for (const field of Object.keys(members[0]?.properties ?? {})) {
    const byValue = new Map<string, object>()
    const clean = members.every((member) =>
      literalsOf(member, field).every((value) => !byValue.has(value) && byValue.set(value, member))
    )
    if (clean && members.every((member) => literalsOf(member, field).length > 0)) {
      return { field, members: byValue }
    }
  }
  return undefined
}

/** By `#` it means the union that it stands in: compiled alone, it would mean itself. */
function refersToWhole (member: object): boolean {
  return /"\$(ref|dynamicRef|recursiveRef)":"#/.test(JSON.stringify(member))
}

function literalsOf (member: ObjectSchema, field: string): readonly string[] {
  const property = member.properties?.[field]
  if (property === undefined || member.required?.includes(field) !== true) return []
  const values: unknown[] = Array.isArray(property.enum) ? property.enum : [property.const]
  return values.every((value) => typeof value === 'string') ? values : []
}

/** The value of the field that tells, when the message has one. */
export function readDiscriminant (message: unknown, field: string): string | undefined {
  if (typeof message !== 'object' || message === null) return undefined
  const value = (message as Record<string, unknown>)[field]
  return typeof value === 'string' ? value : undefined
}
