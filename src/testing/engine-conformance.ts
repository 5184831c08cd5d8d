import type { EngineCase, EngineHarness } from './engine-case.ts'
import { deliveryCases } from './engine-delivery-cases.ts'
import { nodeCases } from './engine-node-cases.ts'
import { outageCases } from './engine-outage-cases.ts'
import { pauseCases } from './engine-pause-cases.ts'
import { stopCases } from './engine-stop-cases.ts'
import { subscriptionCases } from './engine-subscription-cases.ts'

/**
 * What every engine does, as named cases for any test framework, one at a time:
 * `for (const { name, run, ...it } of engineConformance) test(name, { skip: skipReason(it, harness) }, () => run(harness))`.
 */
export const engineConformance: readonly EngineCase[] = [
  ...deliveryCases,
  ...subscriptionCases,
  ...outageCases,
  ...pauseCases,
  ...stopCases,
  ...nodeCases
]

/** Why a case cannot be run on this harness; false when it can. */
export function skipReason ({ needs = [] }: Pick<EngineCase, 'needs'>, harness: EngineHarness): string | false {
  const missing = needs.filter((name) => harness[name] === undefined)
  return missing.length > 0 && `the harness has no ${missing.join(', no ')}`
}
