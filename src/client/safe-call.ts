/** Calls a function of the application. Reports an error that it throws or rejects with. */
export type SafeCall = <T>(call: () => T) => T | undefined

/**
 * Creates a `SafeCall`. It calls `onError` once for each error, after the running code. Without
 * `onError` the error is an unhandled rejection. An error that `onError` throws is one too.
 */
export function createSafeCall (onError: ((error: unknown) => void) | undefined): SafeCall {
  const report = (promise: Promise<unknown>): void => { void promise.catch(onError) }
  return (call) => {
    try {
      const result = call()
      if (result instanceof Promise) report(result)
      return result
    } catch (error) {
      report(Promise.reject(error))
    }
  }
}
