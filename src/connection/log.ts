import { FST_WEBSOCK_INVALID_MESSAGE } from '../errors.ts'
import { writeLog, type Log } from '../log.ts'
import type { RouteContext, Mistake } from './route-context.ts'

/** Logs the failure of a callback. */
export function writeFailure (log: Log, error: unknown, callback: string): void {
  writeLog(log, 'error', { err: error, callback }, 'a websocket callback failed')
}

/** Logs a stop with an error: a stop by the handler, or the answer to an invalid message. */
export function writeStop (log: Log, error: unknown, code: number): void {
  // Logged without the stack trace, which shows only this library: a hostile client can cause many
  // such lines.
  if (isInvalidMessage(error)) {
    writeLog(log, 'info', { code, problem: error.message }, 'a websocket message was refused')
  } else writeLog(log, 'info', { err: error, code }, 'a websocket was stopped with an error')
}

const MISTAKES: Readonly<Record<Mistake, string>> = {
  info: 'an info was dropped: the route has no handleInfo. Add one, or do not post or publish to ' +
    'its connections',
  message:
    'a valid message was dropped: `on` has no callback for it, and there is no handleIn. Add one ' +
    'of them',
  result:
    'ws.push() or ws.stop() was called, but its result was not returned, so it had no effect. ' +
    'Write `return ws.push(…)`, or call ws.send(…) or ws.close(…), which take effect at once'
}

/** Warns of a mistake once for each route. */
export function warnOnce (
  { warned }: Pick<RouteContext, 'warned'>,
  log: Log,
  mistake: Mistake
): void {
  if (warned.has(mistake)) return
  warned.add(mistake)
  writeLog(log, 'warn', {}, `${MISTAKES[mistake]} (logged once for each route)`)
}

/** Also false for a proxy whose `getPrototypeOf` trap throws. */
function isInvalidMessage (error: unknown): error is Error {
  try {
    return error instanceof FST_WEBSOCK_INVALID_MESSAGE
  } catch {
    return false
  }
}
