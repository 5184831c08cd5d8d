/** Calls a function of the application's; what it throws or rejects with is reported. */
export type SafeCall = <T>(call: () => T) => T | undefined

/**
 * `onError` is given each error once, after what runs now. Without it the error is an unhandled
 * rejection, and so is what `onError` throws itself.
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
