declare const kType: unique symbol

/** Stands for a type without a schema. Created by {@link typed}. */
export class TypeToken<out T> {
  declare readonly [kType]: T
}

/**
 * Declares a type without a schema: `info: typed<Tick>()`.
 *
 * Nothing is checked at run time: with `receive`, the client may send anything that the codec can
 * decode.
 */
export function typed<T> (): TypeToken<T> {
  return new TypeToken<T>()
}
