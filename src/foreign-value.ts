/*
 * Values that the code of others gave or threw: a handler, a codec, a validator, a serializer, a
 * logger. Reading one may throw (a getter, a proxy, a `toString`), and a promise among them may
 * reject.
 */

/** Tells whether it is a promise of any kind. Throws what its `then` getter throws. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}

/** Handles the rejection of a promise that is not awaited, so that it does not end the process. */
export function ignoreRejection (promise: PromiseLike<unknown>): void {
  Promise.resolve(promise).catch(() => {})
}

/** The text of what was thrown, for a text of our own. Never throws. */
export function messageOf (thrown: unknown): string {
  return textOf(() => String(thrown instanceof Error ? thrown.message : thrown))
}

/** The text, or a note where reading it throws. */
export function textOf (read: () => string): string {
  try {
    return read()
  } catch {
    return '(cannot be read)'
  }
}
