import { FST_WEBSOCK_UNTRACKABLE } from '../errors.ts'
import { readJson } from './envelope.ts'

export const MAX_KEY_LENGTH = 1024
const MAX_META_BYTES = 8 * 1024
/**
 * Maximum nesting of arrays and objects. Comparing and serializing deeper values may overflow the
 * stack: 8 KiB of JSON can hold 4 096 levels.
 */
const MAX_META_DEPTH = 64

/** Throws FST_WEBSOCK_UNTRACKABLE. */
export function checkKey (key: unknown): void {
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH) {
    throw new FST_WEBSOCK_UNTRACKABLE(
      `a key is a string of 1 to ${MAX_KEY_LENGTH} characters, ` +
        `got ${typeof key === 'string' ? `one of ${key.length}` : typeof key}`
    )
  }
}

/** Copies a meta as the other nodes will receive it. Throws FST_WEBSOCK_UNTRACKABLE. */
export function copyMeta (meta: unknown): unknown {
  let json: string | undefined
  let copy: unknown
  try {
    json = JSON.stringify(meta ?? null)
    copy = json === undefined ? undefined : readJson(json)
  } catch (cause) {
    throw Object.assign(new FST_WEBSOCK_UNTRACKABLE(`a meta is sent as JSON: ${String(cause)}`), {
      cause
    })
  }
  if (json === undefined) {
    throw new FST_WEBSOCK_UNTRACKABLE(`a meta is sent as JSON, which has no ${typeof meta}`)
  }
  const bytes = Buffer.byteLength(json)
  if (bytes > MAX_META_BYTES) {
    throw new FST_WEBSOCK_UNTRACKABLE(
      `a meta has at most ${MAX_META_BYTES} bytes of JSON, got ${bytes}`
    )
  }
  if (!isShallow(copy)) {
    throw new FST_WEBSOCK_UNTRACKABLE(`a meta is nested in at most ${MAX_META_DEPTH} levels`)
  }
  return copy
}

/** Tells whether a meta from another node passes the checks of `track`. */
export function isMeta (meta: unknown): boolean {
  return isShallow(meta) && Buffer.byteLength(JSON.stringify(meta)) <= MAX_META_BYTES
}

/** Tells whether a JSON value is nested in at most `levels` levels. */
function isShallow (json: unknown, levels = MAX_META_DEPTH): boolean {
  return (
    typeof json !== 'object' ||
    json === null ||
    (levels > 0 && Object.values(json).every((value) => isShallow(value, levels - 1)))
  )
}
