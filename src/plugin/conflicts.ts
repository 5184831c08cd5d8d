import type { FastifyInstance } from 'fastify'
import { FST_WEBSOCK_FOREIGN_PLUGIN } from '../errors.ts'
import { wrapMethod } from './method-wrapper.ts'

const NAME = '@fastify/websocket'
const kMeta = Symbol.for('plugin-meta')

/**
 * Throws FST_WEBSOCK_FOREIGN_PLUGIN when the application has registered @fastify/websocket more
 * than `own` times, in any context. Each registration would take every upgrade of the server, and
 * the wrong one might answer first.
 */
export function refuseConflict (instance: FastifyInstance, own: 0 | 1): void {
  // `printPlugins` is the only public view of contexts that are not parents of this one.
  const lines = instance
    .printPlugins()
    .split('\n')
    .filter((line) => /[─┬] @fastify\/websocket(-auto-\d+)? /.test(line))
  if (lines.length > own) throw new FST_WEBSOCK_FOREIGN_PLUGIN()
}

/**
 * From now on `register` of this context and its children refuses @fastify/websocket. Otherwise
 * that plugin would throw an error that nothing catches, and the process would end.
 */
export function refuseInRegister (instance: FastifyInstance): void {
  wrapMethod(instance, 'register', (_context, [plugin]) => {
    if (nameOf(plugin) === NAME) throw new FST_WEBSOCK_FOREIGN_PLUGIN()
  })
}

/** The name that fastify-plugin set on a plugin or on the default export of a module. */
function nameOf (plugin: unknown): string | undefined {
  const { default: inner = plugin } = (plugin ?? {}) as { default?: unknown }
  return (inner as { [kMeta]?: { name?: string } } | undefined)?.[kMeta]?.name
}
