import type { EngineCase, EngineHarness } from './case.ts'
import { deliveryCases } from './delivery-cases.ts'
import { nodeCases } from './node-cases.ts'
import { outageCases } from './outage-cases.ts'
import { permissionCases } from './permission-cases.ts'
import { pauseCases } from './pause-cases.ts'
import { silenceCases } from './silence-cases.ts'
import { stopCases } from './stop-cases.ts'
import { subscriptionCases } from './subscription-cases.ts'

/**
 * The conformance suite for engines: named cases for any test framework, to be run one after the
 * other. `for (const { name, run, ...it } of engineConformance) test(name, { skip: skipReason(it,
 * harness) }, () => run(harness))`
 */
export const engineConformance: readonly EngineCase[] = [
  ...deliveryCases,
  ...subscriptionCases,
  ...outageCases,
  ...pauseCases,
  ...silenceCases,
  ...permissionCases,
  ...stopCases,
  ...nodeCases
]

/** Returns why a case cannot run on this harness, or false when it can. */
export function skipReason (
  { needs = [] }: Pick<EngineCase, 'needs'>,
  harness: EngineHarness
): string | false {
  const missing = needs.filter((name) => harness[name] === undefined)
  return missing.length > 0 && `the harness has no ${missing.join(', no ')}`
}
