import type { ChildProcess } from 'node:child_process'
import type { Engine } from '../../pubsub/engine.ts'

/** What the cases are run on. */
export interface EngineHarness {
  /** Another engine at the same broker, not started. The case starts and stops it. */
  createEngine (): Engine | Promise<Engine>
  /** Kills the broker and starts it again at the same address, empty. Resolves when it listens. */
  restartBroker? (): Promise<void>
  /** Lets the broker stand still, its connections open, until `thawBroker`. */
  freezeBroker? (): void | Promise<void>
  thawBroker? (): void | Promise<void>
  /**
   * From when it resolves, the broker refuses publications and subscriptions of all topics but this
   * one, also those in force.
   */
  allowOnly? (topic: string): Promise<void>
  /** Undoes `allowOnly`. */
  allowAll? (): Promise<void>
  /**
   * Forked from a file that calls `serveEngines` with what creates engines at the same broker:
   * cases stop it with SIGSTOP and continue it. Who forked it kills it after the last case.
   */
  readonly engineProcess?: ChildProcess
}

/** One thing that docs/engines.md says of an engine. */
export interface EngineCase {
  /** A sentence that is true of an engine that conforms. */
  readonly name: string
  /** Of the harness, what it cannot do without. */
  readonly needs?: ReadonlyArray<Exclude<keyof EngineHarness, 'createEngine'>>
  /** Rejects when it is not true. */
  readonly run: (harness: EngineHarness) => Promise<void>
}
