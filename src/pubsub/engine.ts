/** What an engine tells. Nothing here throws. */
export interface EngineListener {
  /** Somebody published these bytes on a topic that this engine was asked to subscribe to; perhaps this engine itself. */
  receive (topic: string, payload: Uint8Array): void
  /** The broker is there: from now on the engine can subscribe and publish. */
  up (): void
  /** The broker is gone, or cannot be reached from the start: what others publish is lost until `up`. The reason is for the log. */
  down (reason?: unknown): void
}

/**
 * Carries bytes between the nodes of a cluster, through a broker. docs/engines.md says what one must and must not do, and the
 * suite `engineConformance` of `fastify-websock/testing/engines` shows whether it does.
 */
export interface Engine {
  /** For the log: `redis`. */
  readonly name: string
  /** Bytes of one publication, at most. */
  readonly maxPayloadBytes: number
  /** Called once, before all else. Does not wait for the broker: `listener.up()` tells when it is there. */
  start (listener: EngineListener): Promise<void>
  /**
   * From when it resolves, publications on this topic arrive. Called only while the broker is up, again for each topic after
   * each `up`; twice is as once. Rejects when the topic is not subscribed.
   */
  subscribe (topic: string): Promise<void>
  /** Called only while the broker is up. Of a topic that is not subscribed: nothing. */
  unsubscribe (topic: string): Promise<void>
  /** Called only while the broker is up. Resolves when the broker has it, as far as one can tell; rejects when it may be lost. */
  publish (topic: string, payload: Uint8Array): Promise<void>
  /** Called once, after all else. Closes what `start` opened, and nothing that the user brought. */
  stop (): Promise<void>
}
