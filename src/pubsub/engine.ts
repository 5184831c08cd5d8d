/** What an engine tells the library. None of these throws. */
export interface EngineListener {
  /**
   * A publication on a topic that this engine was asked to subscribe to. May be one of this
   * engine's own.
   */
  receive (topic: string, payload: Uint8Array): void
  /** The broker is there: from now on the engine can subscribe and publish. */
  up (): void
  /**
   * The broker is gone, cannot be reached from the start, or no longer answers: what others publish
   * is lost until `up`. The reason is for the log. `silentMs`: how long ago the last proof was that
   * the broker delivers, 0 by default.
   */
  down (reason?: unknown, silentMs?: number): void
  /**
   * The broker has ended the subscription of one topic, and is still there. The library subscribes
   * to the topic again.
   */
  dropped (topic: string, reason?: unknown, silentMs?: number): void
}

/**
 * Carries bytes between the nodes of a cluster, through a broker. One engine belongs to one app.
 *
 * docs/engines.md says what an engine must do. The suite `engineConformance` of
 * `fastify-websock/testing/engines` checks it.
 */
export interface Engine {
  /** For the log: `redis`. */
  readonly name: string
  /** Bytes of one publication, at most. */
  readonly maxPayloadBytes: number
  /**
   * Called once, before all else. Does not wait for the broker: `listener.up()` tells when it is
   * there. Rejects when it is called a second time.
   */
  start (listener: EngineListener): Promise<void>
  /**
   * Publications on this topic arrive from the moment when it resolves. Called only while the
   * broker is up, and again for each topic after each `up`. Idempotent. Rejects when the topic is
   * not subscribed.
   */
  subscribe (topic: string): Promise<void>
  /** Called only while the broker is up. Does nothing for a topic that is not subscribed. */
  unsubscribe (topic: string): Promise<void>
  /**
   * Called only while the broker is up. Resolves when the broker has it, as far as one can tell;
   * rejects when it may be lost.
   */
  publish (topic: string, payload: Uint8Array): Promise<void>
  /** Called once, after all else. Closes what `start` opened, and nothing that the user brought. */
  stop (): Promise<void>
}
