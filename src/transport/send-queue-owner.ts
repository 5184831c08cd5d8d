import type { EventLoop } from '../event-loop.ts'
import type { WriteBatcher } from './write-batcher.ts'

/**
 * What happens to a message for a peer that reads too slowly: `close` ends the connection 1013,
 * `drop` leaves the message out and counts it, `wait` lets the mailbox stand still meanwhile.
 */
export type SlowPeerPolicy = 'close' | 'drop' | 'wait'

export interface SendQueueLimits {
  readonly maxBufferedBytes: number
  readonly slowPeer: SlowPeerPolicy
  /** With `wait`: broadcasts and messages of `ws.send` that may wait meanwhile, and their bytes. */
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
}

/** What is counted of all connections of a route. */
export interface Traffic {
  /** Messages that were handed to the socket, and bytes. */
  messagesSent: number
  bytesSent: number
  messagesDropped: number
}

export interface SendQueueOwner {
  readonly limits: SendQueueLimits
  readonly traffic: Traffic
  readonly sharing: WriteSharing
  /** `slowPeer: 'close'`: more than `maxBufferedBytes` wait already. May be called again. */
  slowPeer (bufferedBytes: number): void
  /** More than `maxBufferedBytes` wait for the peer; later: half of that has left. */
  peerIsSlow (): void
  peerHasCaughtUp (): void
  /** `slowPeer: 'wait'`: as many messages wait for the peer as may, and this one is left out. */
  messageRefused (): void
  /** The peer pings, and leaves more pongs unread than a well-behaved one ever has. */
  pongsUnread (): void
}

/** What connections of an app share to write. */
export interface WriteSharing {
  readonly loop: EventLoop
  readonly batcher: WriteBatcher
}
