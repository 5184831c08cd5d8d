import type { FastifyInstance } from 'fastify'
import type { TerminateReason } from '../connection/result.ts'
import type { LogTarget } from '../log.ts'
import type { ConnectionLogOptions } from './connection-log-options.ts'

/** The parts of a connection that telemetry reads. */
export interface ObservedConnection {
  readonly id: string
  readonly group: { readonly url: string }
  readonly server: FastifyInstance
  readonly options: { readonly log: LogTarget }
  readonly limits: ConnectionLogOptions & { readonly slowPeer: 'close' | 'drop' | 'wait' }
  /** `init` has returned. */
  readonly hasState: boolean
  /** Why the connection ends. Undefined before its end. */
  readonly endReason: TerminateReason | undefined
  /** The close frame that was sent or received; 1006 for none. */
  readonly closeFrame: { readonly code: number, readonly reason: string }
  /** The time of the 101, in whole ms of `performance.now()`. */
  readonly openedAt: number
  /** Numbers of complete data messages, and of bytes of the socket. */
  readonly messagesRead: number
  readonly messagesSent: number
  readonly bytesRead: number
  readonly bytesSent: number
  /** Number of letters that wait in its mailbox. */
  readonly waiting: number
  readonly bufferedBytes: number
}
