/** The seed of all random tests: `FUZZ_SEED=7 npx tap test/NAME.test.ts` repeats a run. */
export const FUZZ_SEED = Number(process.env.FUZZ_SEED ?? 20_260_101)

export type Random = (below: number) => number

/** The generator mulberry32. Returns integers from 0 up to, but not including, `below`. */
export function randomFrom (seed: number): Random {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export function pick<T> (random: Random, from: readonly T[]): T {
  return from[random(from.length)] as T
}

/**
 * The settings of fast-check. A failure prints its seed and path: `FUZZ_SEED=… FUZZ_PATH=…` repeats
 * only that case.
 */
export function runs (count: number): { seed: number, path?: string, numRuns: number } {
  const { FUZZ_PATH: path, FUZZ_RUNS: given } = process.env
  return { seed: FUZZ_SEED, ...path === undefined ? {} : { path }, numRuns: Number(given ?? count) }
}
