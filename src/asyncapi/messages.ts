import { findDiscriminatedUnion, membersOf } from '../messages/union.ts'
import { TypeToken } from '../messages/typed.ts'
import { isObject, toJson, toJsonSchema, type SchemaObject, type Side } from './json-schema.ts'
import { dereference, enter, locate, type Located, type SchemaBook } from './schema-book.ts'
import type { AsyncApiMessage, DocumentSchema } from './types.ts'

export interface MessagesOptions {
  /** The route's `receive` or `send` schema. Undefined: messages are raw. */
  readonly schema: unknown
  readonly side: Side
  readonly opcode: 'text' | 'binary'
  readonly contentType: string
  readonly deprecated: boolean
  readonly shared: Parameters<typeof locate>[1]
  readonly book: SchemaBook
}

/** One message. `member` is the schema with its texts and examples. */
interface Found {
  readonly name: string
  readonly member: Located
  readonly payload: DocumentSchema
}

/** The messages of a route without a schema: any text, any bytes. */
const RAW: readonly AsyncApiMessage[] = [
  { name: 'text', summary: 'Any text', contentType: 'text/plain', payload: { type: 'string' } },
  {
    name: 'binary',
    summary: 'Any bytes',
    contentType: 'application/octet-stream',
    payload: {},
    'x-opcode': 'binary'
  }
]

/**
 * Describes the received or sent messages of a route. Each member of a union is a message. Its name
 * is the value of the discriminating field, or else its title. Empty when the schema matches
 * nothing.
 */
export function describeMessages (options: MessagesOptions): readonly AsyncApiMessage[] {
  const { schema, side, opcode, contentType, shared, book } = options
  const marks = {
    ...(opcode === 'binary' && { 'x-opcode': opcode }),
    ...(options.deprecated && { deprecated: true as const })
  }
  if (schema === undefined) {
    return RAW.map((message) => ({
      ...message,
      ...(options.deprecated && { deprecated: true as const })
    }))
  }
  if (schema instanceof TypeToken) return [{ name: 'message', contentType, payload: {}, ...marks }]
  const root = locate(toJsonSchema(schema, side), shared)
  return nameMembers(flatten(root), book).map(({ name, member, payload }) => {
    const { schema } = dereference(member)
    return { name, ...textsOf(schema), contentType, payload, ...examplesOf(schema), ...marks }
  })
}

/**
 * The members of a union, also of nested unions. A schema that is not a union is its only member.
 */
function flatten (whole: Located, seen: readonly SchemaObject[] = []): Located[] {
  const located = dereference(whole)
  if (isNever(located.schema)) return []
  const { $defs, definitions, ...schema } = located.schema
  const members = seen.includes(located.schema) ? [] : membersOf(schema)
  if (members.length === 0) return [whole]
  return members.flatMap((member) =>
    flatten(enter(toObject(member), located), [...seen, located.schema])
  )
}

function nameMembers (members: readonly Located[], book: SchemaBook): Found[] {
  const views = members.map((member) => viewOf(member))
  const union = findDiscriminatedUnion({ anyOf: views })
  if (union !== undefined) {
    return [...union.members].map(([value, view]) => {
      const member = members[views.indexOf(view as View)] as Located
      const shares = [...union.members.values()].filter((other) => other === view).length > 1
      return {
        name: value,
        member,
        payload: shares ? narrow(member, union.field, value, book) : book.add(member)
      }
    })
  }
  const field = findMostCommonLiteral(views)
  return members.map((member, i) => {
    const literal = field === undefined ? undefined : literalOf(views[i] as View, field)
    const { title, $id } = dereference(member).schema
    const name = [literal, title, $id].find((text) => typeof text === 'string' && text !== '') as
      string | undefined
    return {
      name: name ?? (members.length === 1 ? 'message' : `message ${i + 1}`),
      member,
      payload: book.add(member)
    }
  })
}

/** Restricts a member to one of the values of its discriminating field. */
function narrow (member: Located, field: string, value: string, book: SchemaBook): DocumentSchema {
  const payload = book.add(member)
  const { properties } = payload as { properties?: Record<string, object> }
  if (properties?.[field] === undefined) {
    return { allOf: [payload], properties: { [field]: { const: value } }, required: [field] }
  }
  const { enum: _all, ...property } = properties[field] as { enum?: unknown }
  return { ...payload, properties: { ...properties, [field]: { ...property, const: value } } }
}

/** The properties of a schema, including those of its references and `allOf`. */
export interface View {
  readonly properties: Readonly<Record<string, SchemaObject>>
  readonly required: readonly string[]
}

interface LocatedView {
  readonly properties: Map<string, Located>
  readonly required: Set<string>
}

/** The properties of an object schema, each with its location. */
export function propertiesOf (
  located: Located,
  found: LocatedView = { properties: new Map(), required: new Set() },
  depth = 0
): LocatedView {
  const target = dereference(located)
  const { properties, required, allOf } = target.schema
  if (isObject(properties)) {
    for (const [key, property] of Object.entries(properties)) {
      found.properties.set(key, enter(toObject(property), target))
    }
  }
  if (Array.isArray(required)) for (const key of required) found.required.add(String(key))
  if (Array.isArray(allOf) && depth < 16) {
    for (const part of allOf) propertiesOf(enter(toObject(part), target), found, depth + 1)
  }
  return found
}

function viewOf (located: Located): View {
  const { properties, required } = propertiesOf(located)
  return {
    properties: Object.fromEntries([...properties].map(([key, property]) => {
      const { const: only, enum: values } = dereference(property).schema
      return [
        key,
        {
          ...(only !== undefined && { const: only }),
          ...(values !== undefined && { enum: values })
        }
      ]
    })),
    required: [...required]
  }
}

/** The field that is a literal string in most of the schemas, and in at least two. */
function findMostCommonLiteral (views: readonly View[]): string | undefined {
  const counts = new Map<string, number>()
  for (const view of views) {
    for (const field of Object.keys(view.properties)) {
      if (literalOf(view, field) !== undefined) counts.set(field, (counts.get(field) ?? 0) + 1)
    }
  }
  const [[field, count] = ['', 0]] = [...counts].sort(([, a], [, b]) => b - a)
  return count > 1 ? field : undefined
}

function literalOf ({ properties }: View, field: string): string | undefined {
  const only = properties[field]?.['const']
  return typeof only === 'string' ? only : undefined
}

function textsOf (schema: SchemaObject): Pick<AsyncApiMessage, 'title' | 'description'> {
  const { title, description } = schema
  return {
    ...(typeof title === 'string' && { title }),
    ...(typeof description === 'string' && { description })
  }
}

function examplesOf ({ examples, example }: SchemaObject): Pick<AsyncApiMessage, 'examples'> {
  const list: unknown[] = Array.isArray(examples)
    ? examples
    : example === undefined
      ? []
      : [example]
  const payloads = list.map(toJson).filter((payload) => payload !== undefined)
  return payloads.length > 0 ? { examples: payloads.map((payload) => ({ payload })) } : {}
}

function isNever (schema: SchemaObject): boolean {
  const { not } = schema
  return isObject(not) ? Object.keys(not).length === 0 : not === true
}

function toObject (schema: unknown): SchemaObject {
  if (isObject(schema)) return schema
  return schema === false ? { not: {} } : {}
}
