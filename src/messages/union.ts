/** The members of a union, by the value of the discriminating field. */
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

// Keywords that may accompany `anyOf` without changing its meaning.
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

/** Returns the members of a JSON Schema that is a union; none for other schemas. */
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
 * True when each member requires the fields that the union requires, as OpenAPI's `discriminator`
 * does. Then `required` of the union adds nothing.
 */
function requiresAll (member: unknown, { required }: ObjectSchema): boolean {
  const own = (member as ObjectSchema | null)?.required ?? []
  return Array.isArray(required) && required.every((name) => own.includes(name as string))
}

/**
 * Finds a required field with a literal string that differs in each member. Undefined when there is
 * none: the members of such a union are tried one by one.
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

/** True for a member that refers to its union by `#`. Compiled alone, it would refer to itself. */
function refersToWhole (member: object): boolean {
  return /"\$(ref|dynamicRef|recursiveRef)":"#/.test(JSON.stringify(member))
}

function literalsOf (member: ObjectSchema, field: string): readonly string[] {
  const property = member.properties?.[field]
  if (property === undefined || member.required?.includes(field) !== true) return []
  const values: unknown[] = Array.isArray(property.enum) ? property.enum : [property.const]
  return values.every((value) => typeof value === 'string') ? values : []
}

/** Reads the value of the discriminating field. Undefined when the message has no string there. */
export function readDiscriminant (message: unknown, field: string): string | undefined {
  if (typeof message !== 'object' || message === null) return undefined
  const value = (message as Record<string, unknown>)[field]
  return typeof value === 'string' ? value : undefined
}
