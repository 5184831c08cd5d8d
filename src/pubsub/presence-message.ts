import { isAddress, nodeOf } from './envelope.ts'
import { isMeta, MAX_KEY_LENGTH } from './meta.ts'

/** One tracked entry, and its identity. */
export type WireEntry = readonly [topic: string, key: string, address: string, meta: unknown]
export type WireId = readonly [topic: string, key: string, address: string]

/** Messages of presence between nodes. */
export type PresenceMessage =
  /**
   * Heartbeat with the version of the sender's entries. `hello`: the other nodes must answer with a
   * heartbeat.
   */
  | { readonly type: 'beat', readonly version: number, readonly hello: boolean }
  /** The changes from the previous version to this one. */
  | {
    readonly type: 'delta'
    readonly version: number
    readonly joins: readonly WireEntry[]
    readonly leaves: readonly WireId[]
  }
  /** Requests a snapshot from the node `of`. */
  | { readonly type: 'ask', readonly of: string }
  /** One part of a snapshot of the sender's entries at this version. Parts count from 0. */
  | {
    readonly type: 'part'
    readonly version: number
    readonly part: number
    readonly parts: number
    readonly entries: readonly WireEntry[]
  }
  /** The sender stops. */
  | { readonly type: 'bye' }

/**
 * Checks a message of another node, which is not trusted. Returns undefined when it is malformed,
 * or contains entries of a third node.
 */
export function readPresenceMessage (node: string, body: unknown): PresenceMessage | undefined {
  if (!isRecord(body)) return undefined
  const { type, version, hello, joins, leaves, of, part, parts, entries } = body
  switch (type) {
    case 'beat':
      return isCount(version) && typeof hello === 'boolean' ? { type, version, hello } : undefined
    case 'delta':
      return isCount(version) && isEntries(joins, node) && isIds(leaves, node)
        ? { type, version, joins, leaves }
        : undefined
    case 'ask': return typeof of === 'string' ? { type, of } : undefined
    case 'part':
      return isCount(version) && isCount(part) && isCount(parts) && isEntries(entries, node)
        ? { type, version, part, parts, entries }
        : undefined
    case 'bye': return { type }
    default: return undefined
  }
}

function isRecord (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isEntries (value: unknown, node: string): value is WireEntry[] {
  return (
    Array.isArray(value) &&
    value.every(
      (entry) =>
        Array.isArray(entry) &&
        entry.length === 4 &&
        isId(entry.slice(0, 3), node) &&
        isMeta(entry[3])
    )
  )
}

function isIds (value: unknown, node: string): value is WireId[] {
  return (
    Array.isArray(value) &&
    value.every((id) => Array.isArray(id) && id.length === 3 && isId(id, node))
  )
}

function isId ([topic, key, address]: readonly unknown[], node: string): boolean {
  return (
    isName(topic) &&
    isName(key) &&
    typeof address === 'string' &&
    isAddress(address) &&
    nodeOf(address) === node
  )
}

function isName (value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MAX_KEY_LENGTH
}
