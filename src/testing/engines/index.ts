export { MemoryNetwork } from '../../engines/memory-engine.ts'
export { engineConformance, skipReason } from './conformance.ts'
export { serveEngines } from './process.ts'

export type { EngineCase, EngineHarness } from './case.ts'
