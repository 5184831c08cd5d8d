import type { FastifyInstance } from 'fastify'

type Method = (this: FastifyInstance, ...args: unknown[]) => unknown

/**
 * Calls `before` ahead of each call of a method of the instance and its children. `before` may
 * throw, and may replace arguments in the list. Does nothing when there is no such method.
 *
 * All methods of Fastify that this library replaces are replaced here. The table in
 * ../upgrade/README.md lists them, with the reasons.
 */
export function wrapMethod (
  instance: FastifyInstance,
  name: string,
  before: (context: FastifyInstance, args: unknown[]) => void
): void {
  const methods = instance as unknown as Record<string, Method | undefined>
  const original = methods[name]
  if (original === undefined) return
  methods[name] = function (...args) {
    before(this, args)
    return original.apply(this, args)
  }
}
