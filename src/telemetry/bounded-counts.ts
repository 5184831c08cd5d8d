/** What is counted apart, at most: peers choose some keys. */
const MAX_KEYS = 64
/** Counts all others. */
export const OTHER = 'other'

/** Counts by key, of which peers may choose some: the first 64 apart, the others together. */
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
