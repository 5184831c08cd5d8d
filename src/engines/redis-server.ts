/** `away`: no socket. `connected`: a socket, and the handshake has yet to be answered. */
export type ConnectionState = 'away' | 'connected' | 'ready'

export interface ConnectionEvents {
  /** `state` may have changed. The reason is given when it is an error. */
  change (reason?: unknown): void
  receive (channel: string, payload: Uint8Array): void
  /** The server has unsubscribed a sharded channel by itself: its slot has moved. */
  moved (): void
}

/**
 * One connection of the engine to one server. It forgets commands that were not sent, and
 * subscriptions, when it is lost.
 */
export interface RedisConnection {
  readonly state: ConnectionState
  publish (channel: string, payload: Buffer): Promise<unknown>
  subscribe (channel: string): Promise<unknown>
  unsubscribe (channel: string): Promise<unknown>
  /** A command without a payload. */
  ask (name: string, ...args: string[]): Promise<unknown>
  close (): void
}

export interface RedisServer {
  connect (events: ConnectionEvents): RedisConnection
  /** In a cluster: whether the server has this slot. */
  has (slot: number): boolean
}

/** What a user's client leads to. */
export interface RedisServers {
  /**
   * `one`: connections that are lost connect again by themselves, as the client says. Otherwise
   * `find` is called again.
   */
  readonly kind: 'one' | 'sentinel' | 'cluster'
  /** The server, or the masters of a cluster. Rejects when they cannot be found now. */
  find (): Promise<readonly RedisServer[]>
}
