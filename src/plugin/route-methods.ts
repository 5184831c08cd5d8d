import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteHandlerMethod, RouteOptions } from 'fastify'
import { FST_WEBSOCK_NOT_REGISTERED, FST_WEBSOCK_ROUTE_METHOD } from '../errors.ts'
import { upgradeRequired } from '../upgrade/handshake.ts'
import { wrapMethod } from './method-wrapper.ts'

const kRoutes = Symbol('fastify-websock.routes')
// In the global symbol registry, because a process may load this module twice (two versions, or a
// test runner that reloads it). Each copy then wraps the methods of every instance.
const kNoHandler = Symbol.for('fastify-websock.noHandler')

/**
 * A route, and the URL that its onRoute hooks get. Fastify changes the URL in the options when it
 * serves `/` of a prefix at two URLs.
 */
export interface DeclaredRoute {
  readonly url: string
  readonly route: RouteOptions
}

type AnyRoute = Partial<RouteOptions> | undefined

/*
 * Fastify refuses a route without a `handler` before any hook runs, so the methods that declare
 * routes are wrapped. They are wrapped as soon as an instance is created, when this module is
 * loaded by then. A route that is declared before the plugin is registered (a forgotten `await`)
 * then fails with the right error, and not with Fastify's error for a missing handler.
 */
subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { fastify: FastifyInstance }
  // Other versions of Fastify in this process publish on this channel too.
  if (Array.isArray(fastify.supportedMethods)) wrapRouteMethods(fastify)
})

/**
 * Lets the instance and its children declare routes that have only a `websocketHandler`. Returns
 * the list to which each GET route that they declare is added. A second call returns the list of
 * the first call.
 */
export function wrapRouteMethods (instance: FastifyInstance): readonly DeclaredRoute[] {
  if (instance.hasDecorator(kRoutes)) return instance.getDecorator<DeclaredRoute[]>(kRoutes)
  const routes: DeclaredRoute[] = []
  instance.decorate(kRoutes, routes)
  instance.addHook('onRoute', (route) => {
    if ([route.method].flat().includes('GET')) routes.push({ url: route.url, route })
  })
  wrap(instance, 'route', (route) =>
    Array.isArray(route?.method) ? route.method : [route?.method ?? '']
  )
  wrap(instance, 'all', () => instance.supportedMethods)
  for (const method of instance.supportedMethods) {
    wrap(instance, method.toLowerCase(), () => [method])
  }
  return routes
}

function wrap (
  instance: FastifyInstance,
  name: string,
  methodsOf: (route: AnyRoute) => readonly string[]
): void {
  const at = name === 'route' ? 0 : 1
  wrapMethod(instance, name, (context, args) => {
    const route = args[at] as AnyRoute
    if (typeof route !== 'object' || route === null || route.websocketHandler === undefined) return
    checkRoute(context, route, methodsOf(route), String(name === 'route' ? route.url : args[0]))
    if (route.handler === undefined && args[at + 1] === undefined) {
      args[at] = { ...route, handler: refusePlain, [kNoHandler]: true }
    }
  })
}

/** The handler of a route that has none. Another plugin may wrap and call it. */
const refusePlain: RouteHandlerMethod = (request, reply) => reply.send(upgradeRequired(request.raw))

export function hasOwnHandler (route: RouteOptions): boolean {
  return !(kNoHandler in route)
}

function checkRoute (
  instance: FastifyInstance,
  route: AnyRoute,
  methods: readonly string[],
  url: string
): void {
  const name = `${methods.join(',')}:${url}`
  if (!instance.hasDecorator('websock')) throw new FST_WEBSOCK_NOT_REGISTERED(name)
  checkMethods(methods, name)
}

export function checkMethods (methods: readonly string[], route: string): void {
  const upper = methods.map((method) => method.toUpperCase())
  if (!upper.includes('GET') || upper.some((method) => method !== 'GET' && method !== 'HEAD')) {
    throw new FST_WEBSOCK_ROUTE_METHOD(route)
  }
}
