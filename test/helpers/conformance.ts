import {
  engineConformance,
  skipReason,
  type EngineHarness
} from '../../src/testing/engines/index.ts'

/** The part of tap's test that is used here. It runs one subtest after the other. */
interface Parent {
  test (name: string, options: { skip: string | false }, run: () => Promise<void>): unknown
}

/** Runs each case of the suite as a subtest. */
export function runConformance (t: Parent, harness: EngineHarness): void {
  for (const { name, run, ...needs } of engineConformance) {
    void t.test(name, { skip: skipReason(needs, harness) }, () => run(harness))
  }
}
