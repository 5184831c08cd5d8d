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
 * What every engine does, as named cases for any test framework, one at a time: `for (const { name,
 * run, ...it } of engineConformance) test(name, { skip: skipReason(it, harness) }, () =>
 * run(harness))`.
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

/** Why a case cannot be run on this harness; false when it can. */
export function skipReason (
  { needs = [] }: Pick<EngineCase, 'needs'>,
  harness: EngineHarness
): string | false {
  const missing = needs.filter((name) => harness[name] === undefined)
  return missing.length > 0 && `the harness has no ${missing.join(', no ')}`
}
