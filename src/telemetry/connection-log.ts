import { writeLog } from '../log.ts'
import type { ConnectionSummary } from './channels.ts'
import type { ObservedConnection } from './observed.ts'

/*
 * Both lines are written by the logger of the upgrade request, which adds the request's id. They
 * contain no other data of the request: no URL, no header.
 */

/** Writes a line at `debug` when a connection begins. */
export function logOpening ({ id, group, options, limits }: ObservedConnection): void {
  if (limits.connectionLogLevel === 'silent') return
  writeLog(() => options.log, 'debug', { websocket: id, route: group.url }, 'websocket opened')
}

/** Writes a line when a connection has ended. */
export function logEnd (
  { id, group, options, limits }: ObservedConnection,
  summary: ConnectionSummary
): void {
  const { connectionLogLevel: level, connectionLogFields: chosen } = limits
  if (level === 'silent') return
  const all = { websocket: id, route: group.url, ...summary }
  const fields = chosen === undefined
    ? all
    : Object.fromEntries(chosen.map((name) => [name, all[name]]))
  writeLog(() => options.log, level, fields, 'websocket closed')
}
