/** The callbacks through which an engine reports to the library. None of them throws. */
export interface EngineListener {
  /**
   * Delivers a publication on a topic that the library has subscribed to. It may be one of this
   * engine's own publications.
   */
  receive (topic: string, payload: Uint8Array): void
  /** The broker is connected: the engine can subscribe and publish from now on. */
  up (): void
  /**
   * The broker is disconnected, cannot be reached, or does not answer. Publications are lost until
   * the next `up`. `reason` is for the log. `silentMs`: the time since the last proof that
   * publications arrive, 0 by default.
   */
  down (reason?: unknown, silentMs?: number): void
  /**
   * The broker has ended the subscription of one topic, but is still connected. The library
   * subscribes to the topic again.
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
  /** The name for the log, such as `redis`. */
  readonly name: string
  /** The maximum size of one publication in bytes. */
  readonly maxPayloadBytes: number
  /**
   * Begins to connect. Called once, before all other methods. Must not wait for the broker:
   * `listener.up()` reports the connection. Must reject when it is called a second time.
   */
  start (listener: EngineListener): Promise<void>
  /**
   * Subscribes to a topic. Must resolve when the broker has confirmed the subscription, and reject
   * when it is refused. Called only while the broker is connected, and again for each topic after
   * each `up`. Must be idempotent.
   */
  subscribe (topic: string): Promise<void>
  /**
   * Ends the subscription of a topic. Called only while the broker is connected. Must do nothing
   * for a topic that is not subscribed.
   */
  unsubscribe (topic: string): Promise<void>
  /**
   * Publishes. Called only while the broker is connected. Must resolve when the broker has received
   * the publication, as far as the engine can tell, and reject when it may be lost.
   */
  publish (topic: string, payload: Uint8Array): Promise<void>
  /**
   * Called once, after all other methods. Closes everything that `start` opened, but nothing that
   * belongs to the user.
   */
  stop (): Promise<void>
}
