/**
 * The state of a connection. `away`: no socket. `connected`: a socket, but the handshake is not
 * answered yet.
 */
export type ConnectionState = 'away' | 'connected' | 'ready'

export interface ConnectionEvents {
  /** `state` may have changed. `reason`: the error that caused it, if any. */
  change (reason?: unknown): void
  receive (channel: string, payload: Uint8Array): void
  /** The server has ended a sharded subscription, because its slot has moved. */
  moved (): void
}

/**
 * One connection of the engine to one server. When it is lost, it drops unsent commands and all
 * subscriptions.
 */
export interface RedisConnection {
  readonly state: ConnectionState
  publish (channel: string, payload: Buffer): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  unsubscribe (channel: string): Promise<unknown>
  /** Sends a command without a payload. */
  ask (name: string, ...args: string[]): Promise<unknown>
  close (): void
}

export interface RedisServer {
  connect (events: ConnectionEvents): RedisConnection
  /** Tells whether the server owns this slot. Used in a cluster only. */
  has (slot: number): boolean
}

/** The servers behind a user's client. */
export interface RedisServers {
  /**
   * `one`: lost connections reconnect by themselves, as the client's options say. For the other
   * kinds the engine calls `find` again.
   */
  readonly kind: 'one' | 'sentinel' | 'cluster'
  /** Finds the server, or the masters of a cluster. Rejects when they cannot be found now. */
  find (): Promise<readonly RedisServer[]>
}
