/**
 * True when both are the same type. Tells `any`, `unknown` and `never` apart, and an optional
 * property from one of type `| undefined`.
 */
export type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/**
 * `same<typeof state, { count: number }>(true)`: compiles when the types are the same, and with
 * `false` when they are not.
 */
export function same<A, B> (_verdict: Equal<A, B>): void {}

/** Compiles when the value has exactly the type: `expectType<number>()(message)`. */
export function expectType<Expected> (): <Actual>(
value: Actual,
...verdict: Equal<Actual, Expected> extends true ? [] : [never]
) => void {
  return () => {}
}
