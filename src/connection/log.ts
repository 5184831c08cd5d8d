import type { FastifyBaseLogger } from 'fastify'
import { FST_WEBSOCK_INVALID_MESSAGE } from '../errors.ts'

export type LogLevel = 'error' | 'warn' | 'info'

export interface LogFields {
  readonly err?: unknown
  readonly [name: string]: unknown
}

/**
 * Writes a line of the library's own, and never throws: not for an error whose getters do, nor because a serializer of the
 * application's, or the making of a child logger, fails. Nobody above could catch it, and the connection's end hangs on it.
 */
export function writeLog (log: () => FastifyBaseLogger, level: LogLevel, fields: LogFields, text: string): void {
  try {
    log()[level](fields, text)
  } catch {
    try {
      log()[level]({ ...fields, err: 'an error that cannot be logged' }, text)
    } catch {
      // There is no logger then, and nowhere to say so.
    }
  }
}

/** A callback's failure. */
export function writeFailure (log: () => FastifyBaseLogger, error: unknown, callback: string): void {
  // As a string, because the logger leaves out undefined and symbols.
  const err: unknown = typeof error === 'object' && error !== null ? error : String(error)
  writeLog(log, 'error', { err, callback }, 'a websocket callback failed')
}

/** A stop with an error, which is the handler's own wish or the answer to a message that cannot be taken. */
export function writeStop (log: () => FastifyBaseLogger, error: unknown, code: number): void {
  // Without the stack, which is ours: a hostile client writes these lines.
  if (error instanceof FST_WEBSOCK_INVALID_MESSAGE) writeLog(log, 'info', { code, problem: error.message }, 'a websocket message was refused')
  else writeLog(log, 'info', { err: error, code }, 'a websocket was stopped with an error')
}
