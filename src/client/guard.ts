/** Calls a function of the application's; what it throws or rejects with is reported. */
export type Guard = <T>(call: () => T) => T | undefined

/** `onError` is given each error once. One that throws itself ends at the console. */
// eslint-disable-next-line no-console -- the last place to which an error can go
export function createGuard (onError: (error: unknown) => void = console.error): Guard {
  const report = (error: unknown): void => {
    try {
      onError(error)
    } catch (thrown) {
      // eslint-disable-next-line no-console -- see above
      console.error(thrown)
    }
  }
  return (call) => {
    try {
      const result = call()
      if (result instanceof Promise) result.catch(report)
      return result
    } catch (error) {
      report(error)
    }
  }
}
