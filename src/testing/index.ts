export { MemoryNetwork } from '../pubsub/memory-engine.ts'
export { engineConformance, skipReason } from './engine-conformance.ts'
export { serveEngines } from './engine-process.ts'

export type { EngineCase, EngineHarness } from './engine-case.ts'
