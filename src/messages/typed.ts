declare const kType: unique symbol

/** Made by {@link typed}. */
export class TypeToken<out T> {
  declare readonly [kType]: T
}

/**
 * A type with no schema behind it: `info: typed<Tick>()`.
 *
 * Nothing is checked at run time: for `receive` that means that the client may send anything that
 * can be decoded.
 */
export function typed<T> (): TypeToken<T> {
  return new TypeToken<T>()
}
