import type { FastifyBaseLogger } from 'fastify'

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
