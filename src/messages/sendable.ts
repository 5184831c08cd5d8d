/** Throws a TypeError when a part of the message cannot be held by JSON. */
export type CheckSendable = (value: unknown) => void

interface Schema {
  readonly type?: unknown
  readonly properties?: Readonly<Record<string, unknown>>
  readonly items?: unknown
  readonly additionalProperties?: unknown
  readonly patternProperties?: unknown
  readonly anyOf?: unknown
}

/**
 * Keywords for which the serializer selects a schema by the value, or writes the value unchanged.
 */
const COMPOSED = ['$ref', 'anyOf', 'oneOf', 'allOf', 'if', 'not', 'enum', 'const'] as const
const LEAVES = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null'])

/**
 * Builds a check that refuses functions and symbols, and undefined in arrays, in all parts that a
 * JSON serializer of this schema reads.
 *
 * Without it, fast-json-stringify would write `undefined`, `null` or the source text of a function,
 * and JSON.stringify would omit the value. An undefined property is absent, as in JSON.stringify.
 * Properties that the schema does not name are stripped, so they may have any value. A part for
 * which the schema is open or composed is checked completely.
 */
export function buildCheckSendable (schema: unknown): CheckSendable {
  if (isLeaf(schema)) return checkLeaf
  if (
    typeof schema !== 'object' ||
    schema === null ||
    COMPOSED.some((keyword) => keyword in schema)
  ) {
    return checkAll
  }
  const { type, properties, items, additionalProperties, patternProperties } = schema as Schema
  if (type === 'array' && items !== undefined && !Array.isArray(items)) {
    return buildCheckList(buildCheckSendable(items))
  }
  if (
    properties === undefined ||
    (additionalProperties ?? false) !== false ||
    patternProperties !== undefined
  ) {
    return checkAll
  }
  return buildCheckProperties(
    Object.entries(properties).map(([name, part]) => [name, buildCheckSendable(part)])
  )
}

/** True for a schema of a scalar, or of a union of scalars. */
function isLeaf (schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false
  const { type, anyOf } = schema as Schema
  return (
    LEAVES.has(type) ||
    (type === undefined &&
      Array.isArray(anyOf) &&
      !('properties' in schema) &&
      anyOf.every(isLeaf))
  )
}

function buildCheckList (check: CheckSendable): CheckSendable {
  return (value) => {
    if (!Array.isArray(value)) return checkLeaf(value)
    const items = value as readonly unknown[]
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      if (item === undefined) refuse(item)
      check(item)
    }
  }
}

/**
 * Generates a function with the property names in its source text, as fast-json-stringify does. In
 * a loop over the names, the look-ups would take as long as the serializer itself.
 */
function buildCheckProperties (
  checks: ReadonlyArray<readonly [name: string, check: CheckSendable]>
): CheckSendable {
  const lines = checks.map(([name, check], i) => {
    const value = `json[${JSON.stringify(name)}]`
    return check === checkLeaf
      ? `if (typeof (v = ${value}) === 'function' || typeof v === 'symbol') refuse(v)`
      : `checks[${i}](${value})`
  })
  // eslint-disable-next-line no-new-func -- the names are the application's, and quoted
  const look = new Function('checks', 'refuse', `return (json) => { let v\n${lines.join('\n')} }`)(
    checks.map(([, check]) => check),
    refuse
  ) as (json: object) => void
  return (value) => {
    if (typeof value !== 'object' || value === null) return checkLeaf(value)
    const json = toJson(value)
    if (typeof json === 'object' && json !== null) look(json)
    else checkLeaf(json)
  }
}

/** Checks everything that JSON.stringify would write. */
export function checkAll (value: unknown): void {
  if (typeof value !== 'object' || value === null) return checkLeaf(value)
  const json = toJson(value)
  if (json !== value) {
    if (json === undefined) refuse(json)
    return checkAll(json)
  }
  if (Array.isArray(value)) {
    const items = value as readonly unknown[]
    for (let i = 0; i < items.length; i++) {
      const item = items[i]
      if (item === undefined) refuse(item)
      checkAll(item)
    }
  } else if (!ArrayBuffer.isView(value)) {
    for (const name of Object.keys(value)) {
      checkAll((value as Readonly<Record<string, unknown>>)[name])
    }
  }
}

function checkLeaf (value: unknown): void {
  if (typeof value === 'function' || typeof value === 'symbol') refuse(value)
}

function refuse (value: unknown): never {
  throw new TypeError(`${typeof value === 'undefined' ? '' : 'a '}${typeof value} is not JSON`)
}

function toJson (value: object): unknown {
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? toJSON.call(value) as unknown : value
}
