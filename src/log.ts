import { ignoreRejection, isThenable, textOf } from './foreign-value.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

export interface LogFields {
  readonly err?: unknown
  readonly [name: string]: unknown
}

/** Of a logger, what the library's own lines need. */
export type LogTarget = {
  [Level in LogLevel]: (fields: object, text: string) => unknown
}

/** Gives the logger. A function, because making a child logger may throw. */
export type Log = () => LogTarget

/**
 * Writes one of the library's own lines. The only way in which the library logs.
 *
 * Never throws and never rejects: not for an error whose getters throw, a serializer, a logger or a
 * child logger that fails. What the logger cannot take is described in `problem` in place of `err`;
 * when that fails, too, the text goes alone.
 */
export function writeLog (log: Log, level: LogLevel, fields: LogFields, text: string): void {
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      const written = log()[level](fieldsOf(fields, attempt), text)
      if (isThenable(written)) ignoreRejection(written)
      return
    } catch {
      // The next attempt asks less of the logger.
    }
  }
}

/** The fields of the first, second or third attempt. */
function fieldsOf (fields: LogFields, attempt: number): object {
  if (attempt === 3) return {}
  if (!('err' in fields)) return fields
  const { err, ...others } = fields
  return attempt === 1 ? { ...others, err: reasonOf(err) } : { ...others, problem: describe(err) }
}

/** A child logger, or its parent when it cannot be made. */
export function childOf<L> (
  parent: L & { child(bindings: Record<string, unknown>): L },
  bindings: Record<string, unknown>
): L {
  try {
    return parent.child(bindings)
  } catch {
    return parent
  }
}

/**
 * What was thrown, as a field of a log line: an object as it is, anything else as text, because
 * loggers leave out undefined and symbols.
 */
export function reasonOf (thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null ? thrown : textOf(() => String(thrown))
}

function describe (thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return textOf(() => String(thrown))
  const { name, code, message } = {
    name: textOf(() => String((thrown as Error).name ?? 'Error')),
    code: textOf(() => String((thrown as { code?: unknown }).code ?? '')),
    message: textOf(() => String((thrown as Error).message ?? ''))
  }
  return `${name}${code === '' ? '' : ` ${code}`}: ${message}`.slice(0, 1024)
}
