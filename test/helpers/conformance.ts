import {
  engineConformance,
  skipReason,
  type EngineHarness
} from '../../src/testing/engines/index.ts'

/** Of tap's test, what is needed here; it runs one sub-test after the other. */
interface Parent {
  test (name: string, options: { skip: string | false }, run: () => Promise<void>): unknown
}

/** Each case of the suite as a test of its own. */
export function runConformance (t: Parent, harness: EngineHarness): void {
  for (const { name, run, ...needs } of engineConformance) {
    void t.test(name, { skip: skipReason(needs, harness) }, () => run(harness))
  }
}
