import type { RouteOptions } from 'fastify'

/**
 * Adds a hook that runs after all other hooks of the route, also after hooks that other plugins add
 * later in onRoute. The property is an accessor, because Fastify reads the list only when all
 * plugins are loaded, and has no hook that runs after the last onRoute hook.
 *
 * A plugin may replace each hook of the list with a wrapper (@fastify/otel does). The wrapper then
 * only lets the request pass, and a new hook is added at the end of the list.
 */
export function addLastHook (
  route: RouteOptions,
  name: 'onRequest' | 'onSend',
  hook: (...args: never[]) => unknown
): void {
  let hooks: unknown[] = [...listOf<unknown>(route[name])]
  let current = (): void => {}
  const build = () => function own (this: unknown, ...args: unknown[]): void {
    if (own === current) hook.apply(this, args as never[])
    else letPass(args)
  }
  Object.defineProperty(route, name, {
    enumerable: true,
    configurable: true,
    get: () => {
      if (!hooks.includes(current)) current = build()
      const others = hooks.filter((other) => other !== current)
      // Always the same list, because a plugin may push to it.
      hooks.splice(0, hooks.length, ...others, current)
      return hooks
    },
    set: (given: unknown) => { hooks = [...listOf(given)] }
  })
}

/** Calls the `done` of a hook. An onSend hook also gets a payload. */
function letPass (args: readonly unknown[]): void {
  const done = args.at(-1) as (error?: null, payload?: unknown) => void
  if (args.length === 4) done(null, args[2])
  else done()
}

/** The hooks of a route option: none, one, or a list. */
export function listOf<T> (hooks: T | T[] | undefined): T[] {
  return hooks === undefined ? [] : Array.isArray(hooks) ? hooks : [hooks]
}
