/** A promise that starts its work at the first `then`, so that its time limit counts from there. */
export class LazyPromise<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = 'LazyPromise'
  readonly #begin: () => Promise<T>

  constructor (begin: () => Promise<T>) {
    this.#begin = begin
  }

  then<A = T, B = never>(
    resolved?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null
  ): Promise<A | B> {
    return this.#begin().then(resolved, rejected)
  }

  catch<B = never> (rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#begin().catch(rejected)
  }

  finally (settled?: (() => void) | null): Promise<T> {
    return this.#begin().finally(settled)
  }
}
