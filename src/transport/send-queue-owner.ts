import type { EventLoop } from '../event-loop.ts'
import type { WriteBatcher } from './write-batcher.ts'

/**
 * What happens to messages for a slow peer. `close`: the connection is closed with 1013. `drop`:
 * the message is dropped and counted. `wait`: the mailbox delivers nothing until the peer has
 * caught up.
 */
export type SlowPeerPolicy = 'close' | 'drop' | 'wait'

export interface SendQueueLimits {
  readonly maxBufferedBytes: number
  readonly slowPeer: SlowPeerPolicy
  /** With `wait`: limits for broadcasts and messages of `ws.send` that wait for the peer. */
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
}

/** Counters of all connections of a route. */
export interface Traffic {
  /** Messages and bytes that were written to the socket. */
  messagesSent: number
  bytesSent: number
  messagesDropped: number
}

export interface SendQueueOwner {
  readonly limits: SendQueueLimits
  readonly traffic: Traffic
  readonly sharing: WriteSharing
  /**
   * With `slowPeer: 'close'`: more than `maxBufferedBytes` wait for the peer. May be called more
   * than once.
   */
  slowPeer (bufferedBytes: number): void
  /**
   * More than `maxBufferedBytes` wait for the peer. `peerHasCaughtUp` follows when at most half of
   * that waits, or the connection closes.
   */
  peerIsSlow (): void
  peerHasCaughtUp (): void
  /**
   * With `slowPeer: 'wait'`: a message was dropped, because the limits for waiting messages are
   * reached.
   */
  messageRefused (): void
  /** The peer sends pings but does not read the pongs: more than MAX_UNREAD_PONGS wait. */
  pongsUnread (): void
}

/** Objects that all connections of an app share for writing. */
export interface WriteSharing {
  readonly loop: EventLoop
  readonly batcher: WriteBatcher
}
