import { ignoreRejection, isThenable, textOf } from './foreign-value.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace'

export interface LogFields {
  readonly err?: unknown
  readonly [name: string]: unknown
}

/** The part of a logger that the library uses. */
export type LogTarget = {
  [Level in LogLevel]: (fields: object, text: string) => unknown
}

/** Returns the logger. A function, because creating a child logger may throw. */
export type Log = () => LogTarget

/**
 * Writes a log line. The library logs only through this function.
 *
 * Never throws or rejects, even when a getter of the error, a serializer, the logger or the
 * creation of a child logger fails. An error that the logger cannot write is described in the field
 * `problem` instead of `err`. If that fails, too, only the text is written.
 */
export function writeLog (log: Log, level: LogLevel, fields: LogFields, text: string): void {
  for (let attempt = 1; attempt <= 3; attempt++) {
    try {
      const written = log()[level](fieldsOf(fields, attempt), text)
      if (isThenable(written)) ignoreRejection(written)
      return
    } catch {
      // The next attempt gives the logger less to serialize.
    }
  }
}

/** Returns the fields for the first, second or third attempt. */
function fieldsOf (fields: LogFields, attempt: number): object {
  if (attempt === 3) return {}
  if (!('err' in fields)) return fields
  const { err, ...others } = fields
  return attempt === 1 ? { ...others, err: reasonOf(err) } : { ...others, problem: describe(err) }
}

/** Creates a child logger. Returns the parent when that throws. */
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
 * Converts a thrown value to a log field. An object stays as it is. Other values become text,
 * because loggers omit undefined and symbols.
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
