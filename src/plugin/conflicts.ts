import type { FastifyInstance } from 'fastify'
import { FST_WEBSOCK_FOREIGN_PLUGIN } from '../errors.ts'

const NAME = '@fastify/websocket'
const kMeta = Symbol.for('plugin-meta')

/**
 * Throws FST_WEBSOCK_FOREIGN_PLUGIN when the application has more than `own` @fastify/websocket, be
 * it in a context beside this one: each would take every upgrade of the server, and the first
 * answer is not always that of the right one.
 */
export function refuseConflict (instance: FastifyInstance, own: 0 | 1): void {
  // The one public view of contexts that are not above this one.
  const lines = instance
    .printPlugins()
    .split('\n')
    .filter((line) => /[─┬] @fastify\/websocket(-auto-\d+)? /.test(line))
  if (lines.length > own) throw new FST_WEBSOCK_FOREIGN_PLUGIN()
}

/**
 * From now on `register` refuses it here and below: it would fail on its first line, where nobody
 * catches it, and end the process.
 */
export function refuseInRegister (instance: FastifyInstance): void {
  const original = instance.register as (this: FastifyInstance, ...args: unknown[]) => unknown
  instance.register = function (this: FastifyInstance, ...args: unknown[]) {
    if (nameOf(args[0]) === NAME) throw new FST_WEBSOCK_FOREIGN_PLUGIN()
    return original.apply(this, args)
  } as typeof instance.register
}

/** The name that fastify-plugin gave, also of an imported module. */
function nameOf (plugin: unknown): string | undefined {
  const { default: inner = plugin } = (plugin ?? {}) as { default?: unknown }
  return (inner as { [kMeta]?: { name?: string } } | undefined)?.[kMeta]?.name
}
