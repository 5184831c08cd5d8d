import type { DocumentSchema } from './types.ts'

/** A JSON Schema as an object; `true` and `false` are `{}` and `{ not: {} }`. */
export type SchemaObject = Readonly<Record<string, unknown>>

/** The side of a transforming schema that is on the wire. */
export type Side = 'input' | 'output'

/**
 * The interface by which zod, ArkType and others convert to JSON Schema:
 * https://standardschema.dev.
 */
interface StandardSchema {
  readonly '~standard': {
    readonly vendor?: string
    readonly jsonSchema?: Readonly<Record<Side, (options: object) => unknown>>
  }
}

export const TYPES: ReadonlySet<unknown> = new Set(
  ['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'])
/** Keywords whose value is a schema, a list of schemas, or an object of schemas. */
const SCHEMA = new Set([
  'additionalItems',
  'additionalProperties',
  'contains',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties'
])
const LIST = new Set(['allOf', 'anyOf', 'items', 'oneOf', 'prefixItems'])
const MAP = new Set([
  '$defs',
  'definitions',
  'dependencies',
  'dependentSchemas',
  'patternProperties',
  'properties'
])
const TEXT = new Set([
  'title',
  'description',
  'format',
  'pattern',
  'contentEncoding',
  'contentMediaType'
])
/**
 * Keywords that are not copied to a document: identifiers (references lead to `components`),
 * keywords to which AsyncAPI gives another meaning, keywords that `convertToDraft07` converts, and
 * functions or texts of a validator.
 */
const LEFT_OUT = new Set([
  '$anchor',
  '$async',
  '$comment',
  '$defs',
  '$dynamicAnchor',
  '$dynamicRef',
  '$id',
  '$recursiveAnchor',
  '$recursiveRef',
  '$ref',
  '$schema',
  '$vocabulary',
  '~standard',
  'definitions',
  'dependentRequired',
  'dependentSchemas',
  'discriminator',
  'errorMessage',
  'example',
  'id',
  'nullable',
  'prefixItems',
  'schema',
  'schemaFormat'
])

/** Tells whether a value is an object and not an array, as a JSON Schema is. */
export function isObject (value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Converts a schema to JSON Schema. Returns a JSON Schema unchanged, and converts zod and others by
 * the Standard JSON Schema interface. Throws a TypeError for other schemas.
 */
export function toJsonSchema (schema: unknown, side: Side): SchemaObject {
  if (schema === true) return {}
  if (schema === false) return { not: {} }
  if (!isObject(schema)) throw new TypeError(`${typeof schema} is not a schema`)
  if (isStandard(schema)) {
    const { vendor, jsonSchema } = schema['~standard']
    const options = vendor === 'zod' ? { libraryOptions: { unrepresentable: 'any' } } : {}
    const converted = jsonSchema?.[side]({ target: 'draft-07', ...options })
    if (isObject(converted)) return converted
  }
  const prototype: unknown = Object.getPrototypeOf(schema)
  if (isStandard(schema) || (prototype !== Object.prototype && prototype !== null)) {
    throw new TypeError(
      'it is not JSON Schema and cannot be converted to it: let `transform` convert it'
    )
  }
  return schema
}

/** The vendor of a schema with the Standard Schema interface, such as `zod`. */
export function vendorOf (schema: unknown): string | undefined {
  return isObject(schema) && isStandard(schema) ? schema['~standard'].vendor : undefined
}

/** Calls `visit` for each direct subschema. */
export function forEachChild (
  schema: SchemaObject,
  visit: (child: unknown, path: readonly string[]) => void
): void {
  for (const [keyword, value] of Object.entries(schema)) {
    if (LIST.has(keyword) && Array.isArray(value)) {
      value.forEach((item, i) => visit(item, [keyword, String(i)]))
    } else if (MAP.has(keyword) && isObject(value)) {
      for (const [key, item] of Object.entries(value)) visit(item, [keyword, key])
    } else if (SCHEMA.has(keyword) && isObject(value)) visit(value, [keyword])
  }
}

/**
 * Copies a schema to draft 07, as JSON data, without identifiers and references. Calls `convert`
 * for each subschema.
 */
export function copySchema (
  schema: SchemaObject,
  convert: (child: unknown) => unknown
): DocumentSchema {
  const copy: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (LEFT_OUT.has(keyword)) continue
    const copied = copyKeyword(keyword, value, convert)
    if (copied !== undefined) copy[keyword] = copied
  }
  convertToDraft07(schema, copy, convert)
  return copy
}

function copyKeyword (
  keyword: string,
  value: unknown,
  convert: (child: unknown) => unknown
): unknown {
  if (LIST.has(keyword) && Array.isArray(value)) {
    return value.length > 0 ? value.map(convert) : undefined
  }
  if (MAP.has(keyword) && isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) =>
      [key, Array.isArray(item) ? item : convert(item)]))
  }
  if (SCHEMA.has(keyword)) {
    return typeof value === 'boolean' || isObject(value) ? convert(value) : undefined
  }
  if (TEXT.has(keyword)) return typeof value === 'string' ? value : undefined
  if (keyword === 'examples') return Array.isArray(value) ? toJson(value) : undefined
  if (keyword === 'deprecated' || keyword === 'readOnly' || keyword === 'writeOnly') {
    return typeof value === 'boolean' ? value : undefined
  }
  return toJson(value)
}

/** Adds to `copy` the draft 07 form of keywords of later drafts, OpenAPI and TypeBox. */
function convertToDraft07 (
  schema: SchemaObject,
  copy: Record<string, unknown>,
  convert: (child: unknown) => unknown
): void {
  const { type, nullable, example, prefixItems, items, dependentRequired, dependentSchemas } =
    schema
  const types = [type].flat().filter((name) => name !== undefined)
  const known = types.filter((name) => TYPES.has(name))
  // TypeBox has types such as `bigint` and `undefined`, for validators and codecs that support
  // them.
  if (known.length < types.length) {
    delete copy['type']
    copy['x-type'] = types.join(' | ')
  } else if (nullable === true && known.length > 0 && !known.includes('null')) {
    copy['type'] = [...known, 'null']
  }
  if (example !== undefined && copy['examples'] === undefined) copy['examples'] = [toJson(example)]
  if (Array.isArray(prefixItems)) {
    copy['items'] = prefixItems.map(convert)
    if (typeof items === 'boolean' || isObject(items)) copy['additionalItems'] = convert(items)
  }
  const dependencies = {
    ...(isObject(dependentSchemas)
      ? (copyKeyword('dependencies', dependentSchemas, convert) as object)
      : {}),
    ...(isObject(dependentRequired) ? (toJson(dependentRequired) as object) : {})
  }
  if (Object.keys(dependencies).length > 0) {
    copy['dependencies'] = { ...(copy['dependencies'] as object), ...dependencies }
  }
}

/** Copies a value as JSON data. Undefined when JSON cannot hold it. */
export function toJson (value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'bigint' ? Number(item) : item
  ) as string | undefined
  return text === undefined ? undefined : JSON.parse(text) as unknown
}

function isStandard (schema: object): schema is StandardSchema {
  return '~standard' in schema && isObject(schema['~standard'])
}
