import { isObject } from './model.mjs'

const MAX_DEPTH = 8
const FORMATS = {
  'date-time': '2026-01-31T12:00:00Z',
  date: '2026-01-31',
  time: '12:00:00Z',
  email: 'somebody@example.com',
  uuid: '3fa85f64-5717-4562-b3fc-2c963f66afa6',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1'
}

/** Builds a small value that matches a schema. Uses examples and defaults of the schema. */
export function sample (given, model, depth = 0) {
  const schema = model.resolve(given)
  if (!isObject(schema)) return null
  if (Array.isArray(schema.examples) && schema.examples.length > 0) return schema.examples[0]
  if ('default' in schema) return schema.default
  if ('const' in schema) return schema.const
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return schema.enum[0]
  const kinds = schema.anyOf ?? schema.oneOf
  if (Array.isArray(kinds)) {
    const kind = sample(simplest(kinds, model), model, depth + 1)
    return isObject(kind) && schema.properties !== undefined
      ? { ...sampleObject(schema, model, depth), ...kind }
      : kind
  }
  if (Array.isArray(schema.allOf)) {
    return sampleAll(
      [{ ...schema, allOf: undefined }, ...schema.allOf.map((part) => model.resolve(part))],
      model,
      depth
    )
  }
  switch (typeOf(schema)) {
    case 'object': return sampleObject(schema, model, depth)
    case 'array': return sampleList(schema, model, depth)
    case 'string': return sampleText(schema)
    case 'integer': case 'number': return sampleNumber(schema)
    case 'boolean': return false
    default: return null
  }
}

/**
 * An object with the fields of all parts. When not all parts are objects, a sample of the last
 * part.
 */
function sampleAll (parts, model, depth) {
  const typed = parts.filter((part) => typeOf(part) !== undefined)
  if (!typed.every((part) => typeOf(part) === 'object')) {
    return sample(typed.at(-1), model, depth + 1)
  }
  return sampleObject({
    properties: Object.assign({}, ...typed.map(({ properties }) => properties)),
    required: typed.flatMap(({ required = [] }) => required)
  }, model, depth)
}

/** The simplest alternative, so that the sample of a recursive union ends. */
function simplest (kinds, model) {
  const weigh = (kind) => {
    const schema = model.resolve(kind)
    const type = typeOf(schema)
    return type === 'null'
      ? 1
      : type === 'object' || type === 'array' || schema.anyOf !== undefined
        ? 2
        : 0
  }
  return [...kinds].sort((a, b) => weigh(a) - weigh(b))[0]
}

function typeOf (schema) {
  const [type] = [schema.type].flat()
  if (type !== undefined) return type
  if (schema.properties !== undefined || schema.required !== undefined) return 'object'
  return schema.items === undefined ? undefined : 'array'
}

/** The required fields, and fields with a constant, a default or examples. */
function sampleObject ({ properties = {}, required = [] }, model, depth) {
  const wanted = (key, property) =>
    required.includes(key) ||
    (isObject(property) &&
      ('const' in property || 'default' in property || Array.isArray(property.examples)))
  if (depth > MAX_DEPTH) return {}
  const own = Object.entries(properties).filter(([key, property]) => wanted(key, property))
  return Object.fromEntries(
    [
      ...own,
      ...required.filter((key) => !Object.hasOwn(properties, key)).map((key) => [key, true])
    ].map(([key, property]) => [key, sample(property, model, depth + 1)])
  )
}

function sampleList ({ items, minItems = 0 }, model, depth) {
  if (depth > MAX_DEPTH) return []
  const length = Math.min(Math.max(minItems, Array.isArray(items) ? items.length : 0), 20)
  return Array.from({ length }, (_, i) =>
    sample(Array.isArray(items) ? (items[i] ?? true) : (items ?? true), model, depth + 1)
  )
}

function sampleText ({ format, minLength = 0, maxLength = Infinity }) {
  const text = FORMATS[format] ?? 'text'
  if (FORMATS[format] !== undefined) return text
  return text.padEnd(Math.min(minLength, 10_000), 'x').slice(0, maxLength)
}

function sampleNumber ({
  type,
  minimum,
  maximum,
  exclusiveMinimum,
  exclusiveMaximum,
  multipleOf = 0
}) {
  const step = multipleOf > 0 ? multipleOf : 1
  const low =
    minimum ??
    (exclusiveMinimum === undefined
      ? undefined
      : exclusiveMinimum + (type === 'integer' ? step : step / 1000))
  const high =
    maximum ??
    (exclusiveMaximum === undefined
      ? undefined
      : exclusiveMaximum - (type === 'integer' ? step : step / 1000))
  if (low !== undefined) {
    return multipleOf > 0 ? Math.ceil(low / step) * step : type === 'integer' ? Math.ceil(low) : low
  }
  if (high !== undefined && high < 0) {
    return multipleOf > 0
      ? Math.floor(high / step) * step
      : type === 'integer'
        ? Math.floor(high)
        : high
  }
  return 0
}
