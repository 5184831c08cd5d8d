/** Throws a TypeError for a part of a message that JSON cannot hold. */
export type CheckSendable = (value: unknown) => void

interface Schema {
  readonly type?: unknown
  readonly properties?: Readonly<Record<string, unknown>>
  readonly items?: unknown
  readonly additionalProperties?: unknown
  readonly patternProperties?: unknown
}

/** Keywords under which the serializer picks a schema by the value, or leaves the value as it is. */
const COMPOSED = ['$ref', 'anyOf', 'oneOf', 'allOf', 'if', 'not', 'enum', 'const'] as const
const LEAVES = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null'])

/**
 * Builds the check of what a JSON serializer of this schema looks at: functions and symbols, and undefined in lists.
 *
 * fast-json-stringify writes `undefined`, `null` or a function's source text for them, JSON.stringify leaves them out.
 * A property that is undefined is absent, as in JSON.stringify. Properties that the schema does not name are stripped,
 * so they may hold anything; where it leaves a part open or composes it, all of that part is looked at.
 */
export function buildCheckSendable (schema: unknown): CheckSendable {
  if (typeof schema !== 'object' || schema === null || COMPOSED.some((keyword) => keyword in schema)) return checkAll
  const { type, properties, items, additionalProperties, patternProperties } = schema as Schema
  if (LEAVES.has(type)) return checkLeaf
  if (type === 'array' && items !== undefined && !Array.isArray(items)) return buildCheckList(buildCheckSendable(items))
  if (properties === undefined || (additionalProperties ?? false) !== false || patternProperties !== undefined) return checkAll
  return buildCheckProperties(Object.entries(properties).map(([name, part]) => [name, buildCheckSendable(part)]))
}

function buildCheckList (check: CheckSendable): CheckSendable {
  return (value) => {
    checkLeaf(value)
    if (!Array.isArray(value)) return
    for (const item of value) {
      refuseUndefined(item)
      check(item)
    }
  }
}

function buildCheckProperties (checks: ReadonlyArray<readonly [name: string, check: CheckSendable]>): CheckSendable {
  return (value) => {
    checkLeaf(value)
    if (typeof value !== 'object' || value === null) return
    const json = toJson(value) as Readonly<Record<string, unknown>> | undefined
    for (const [name, check] of checks) check(json?.[name])
  }
}

/** Looks at everything that JSON.stringify would. */
export function checkAll (value: unknown): void {
  checkLeaf(value)
  if (typeof value !== 'object' || value === null) return
  const json = toJson(value)
  if (json !== value) {
    refuseUndefined(json)
    return checkAll(json)
  }
  if (Array.isArray(value)) {
    for (const item of value) {
      refuseUndefined(item)
      checkAll(item)
    }
  } else if (!ArrayBuffer.isView(value)) {
    for (const name of Object.keys(value)) checkAll((value as Readonly<Record<string, unknown>>)[name])
  }
}

function checkLeaf (value: unknown): void {
  if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`a ${typeof value} is no JSON`)
}

function refuseUndefined (value: unknown): void {
  if (value === undefined) throw new TypeError('undefined is no JSON')
}

function toJson (value: object): unknown {
  const { toJSON } = value as { toJSON?: unknown }
  return typeof toJSON === 'function' ? toJSON.call(value) as unknown : value
}
