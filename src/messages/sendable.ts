/** Throws a TypeError for a part of a message that JSON cannot hold. */
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
 * Keywords under which the serializer picks a schema by the value, or leaves the value as it is.
 */
const COMPOSED = ['$ref', 'anyOf', 'oneOf', 'allOf', 'if', 'not', 'enum', 'const'] as const
const LEAVES = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null'])

/**
 * Builds the check of what a JSON serializer of this schema looks at: functions and symbols, and
 * undefined in lists.
 *
 * fast-json-stringify writes `undefined`, `null` or a function's source text for them,
 * JSON.stringify leaves them out. A property that is undefined is absent, as in JSON.stringify.
 * Properties that the schema does not name are stripped, so they may hold anything; where it leaves
 * a part open or composes it, all of that part is looked at.
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

/** A scalar, or one of some scalars. */
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
 * Builds a function with the names of the properties in its text, as fast-json-stringify does: in a
 * loop over the names, the look-ups cost as much as the serializer itself.
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

/** Looks at everything that JSON.stringify would. */
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
  throw new TypeError(`${typeof value === 'undefined' ? '' : 'a '}${typeof value} is no JSON`)
}

function toJson (value: object): unknown {
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? toJSON.call(value) as unknown : value
}
