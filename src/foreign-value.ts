/*
 * Helpers for values that foreign code has returned or thrown: a handler, a codec, a validator, a
 * serializer, a logger. Reading such a value may throw (a getter, a proxy, a `toString`), and a
 * promise may reject without a handler.
 */

/** Tells whether a value is a promise of any class. Throws what its `then` getter throws. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

/** Ignores the rejection of a promise that is not awaited, which would end the process. */
export function ignoreRejection (promise: PromiseLike<unknown>): void {
  Promise.resolve(promise).catch(() => {})
}

/** Returns the message of a thrown value, for one of our own texts. Never throws. */
export function messageOf (thrown: unknown): string {
  return textOf(() => String(thrown instanceof Error ? thrown.message : thrown))
}

/** Returns the text that `read` returns, or a placeholder when it throws. */
export function textOf (read: () => string): string {
  try {
    return read()
  } catch {
    return '(cannot be read)'
  }
}
