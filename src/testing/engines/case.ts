import type { ChildProcess } from 'node:child_process'
import type { Engine } from '../../pubsub/engine.ts'

/** The engines and the broker that the cases run on. */
export interface EngineHarness {
  /** Creates another engine at the same broker, not started. The case starts and stops it. */
  createEngine (): Engine | Promise<Engine>
  /** Kills the broker and starts it again at the same address, empty. Resolves when it listens. */
  restartBroker? (): Promise<void>
  /** Freezes the broker until `thawBroker`. Its connections stay open. */
  freezeBroker? (): void | Promise<void>
  thawBroker? (): void | Promise<void>
  /**
   * After it has resolved, the broker refuses publications and subscriptions of all topics but this
   * one. Existing subscriptions are refused too.
   */
  allowOnly? (topic: string): Promise<void>
  /** Undoes `allowOnly`. */
  allowAll? (): Promise<void>
  /**
   * A process that was forked from a file that calls `serveEngines` with a function like
   * `createEngine`. Cases pause it with SIGSTOP and continue it with SIGCONT. The caller that
   * forked it must kill it after the last case.
   */
  readonly engineProcess?: ChildProcess
}

/** One rule of docs/engines.md for engines. */
export interface EngineCase {
  /** A sentence that is true of a conforming engine. */
  readonly name: string
  /** The optional members of the harness that the case uses. */
  readonly needs?: ReadonlyArray<Exclude<keyof EngineHarness, 'createEngine'>>
  /** Rejects when the engine breaks the rule. */
  readonly run: (harness: EngineHarness) => Promise<void>
}
