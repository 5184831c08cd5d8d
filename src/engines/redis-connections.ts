export interface RedisEvents {
  /** `areReady` may be another one now; the reason when it is an error. */
  change (reason?: unknown): void
  receive (channel: string, payload: Uint8Array): void
}

/**
 * What the engine needs of a client, whichever it is: two connections that forget all when they are lost, commands that were
 * not sent and subscriptions both.
 */
export interface RedisConnections {
  readonly areReady: boolean
  open (events: RedisEvents): void
  publish (channel: string, payload: Buffer): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  unsubscribe (channel: string): Promise<unknown>
  close (): void
}
