import type { LogLevel } from '../log.ts'

export const CONNECTION_LOG_LEVELS = ['silent', 'trace', 'debug', 'info', 'warn', 'error'] as const

/** The fields of the log line at the end of a connection, in order. */
export const CONNECTION_LOG_FIELDS = [
  'websocket',
  'route',
  'durationMs',
  'messagesReceived',
  'messagesSent',
  'bytesReceived',
  'bytesSent',
  'type',
  'code',
  'reason',
  'error'
] as const

export type ConnectionLogField = (typeof CONNECTION_LOG_FIELDS)[number]

export interface ConnectionLogOptions {
  readonly connectionLogLevel: 'silent' | LogLevel
  /** The fields to log. Undefined: all. */
  readonly connectionLogFields: readonly ConnectionLogField[] | undefined
}
