/** Maximum number of keys that are counted separately. Peers choose some of the keys. */
const MAX_KEYS = 64
/** The key under which all further keys are counted. */
export const OTHER = 'other'

/** Counts by key: the first 64 keys separately, all others together. */
export class BoundedCounts {
  readonly #counts = new Map<string, number>()

  add (key: string): void {
    const known = this.#counts.has(key) || this.#counts.size < MAX_KEYS
    const counted = known ? key : OTHER
    this.#counts.set(counted, (this.#counts.get(counted) ?? 0) + 1)
  }

  entries (): Iterable<[key: string, count: number]> {
    return this.#counts
  }
}
