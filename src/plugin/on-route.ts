import type { FastifyInstance, RouteOptions } from 'fastify'
import { FST_WEBSOCK_INVALID_HANDLER } from '../errors.ts'
import { readCompilerOptions, type CompilerOptions } from './compiler-options.ts'
import { buildRouteContext } from './route-context.ts'
import { checkMethods, hasOwnHandler } from './route-methods.ts'
import { resolveRouteOptions, type ResolvedOptions } from './options.ts'
import { isFastifyWebsocketRoute, WebsocketRoute, type PluginContext } from './route.ts'

interface Declaration {
  readonly instance: FastifyInstance
  readonly declared: RouteOptions
  readonly route: WebsocketRoute
}

/**
 * What happens to each route as it is declared: once before @fastify/websocket's onRoute hook, once
 * after it.
 */
export class OnRouteHooks {
  readonly #options: ResolvedOptions
  readonly #plugin: PluginContext
  readonly #declarations = new Map<RouteOptions, Declaration>()
  #compilerOptions: CompilerOptions | undefined
  readonly #handlers = new WeakMap<RouteOptions, RouteOptions['handler']>()

  constructor (options: ResolvedOptions, plugin: PluginContext) {
    this.#options = options
    this.#plugin = plugin
  }

  get routes (): WebsocketRoute[] {
    return [...this.#declarations.values()].map(({ route }) => route)
  }

  /** In the order of their declaration, each with the context that it was declared in. */
  get declarations (): ReadonlyArray<Pick<Declaration, 'instance' | 'declared'>> {
    return [...this.#declarations.values()]
  }

  before (instance: FastifyInstance, declared: RouteOptions): void {
    if (declared.websocketOptions !== undefined && declared.websocketHandler === undefined) {
      throw new FST_WEBSOCK_INVALID_HANDLER(
        `${String(declared.method)}:${declared.url}`,
        '',
        'there, beside `websocketOptions`'
      )
    }
    if (declared.websocketHandler !== undefined) {
      // Fastify makes a HEAD route of each GET route: nothing can be upgraded there.
      if (declared.method !== 'HEAD') this.#declare(instance, declared)
      if (!hasOwnHandler(declared)) hideFromDocuments(declared)
    }
    this.#handlers.set(declared, declared.handler)
  }

  /**
   * Takes @fastify/websocket's wrapper off again: on a plain route it would answer an upgrade with
   * 101 and close at once, where HTTP would just answer. Its own `websocket: true` and `wsHandler`
   * routes keep it.
   */
  after (declared: RouteOptions): void {
    const handler = this.#handlers.get(declared)
    if (handler !== undefined && !isFastifyWebsocketRoute(declared)) declared.handler = handler
  }

  /** Compiles the message schemas of all routes. Throws FST_WEBSOCK_INVALID_SCHEMA. */
  compile (): void {
    for (const { instance, declared, route } of this.#declarations.values()) {
      route.context = buildRouteContext(
        instance,
        declared,
        route,
        this.#plugin,
        this.#compilerOptions ?? {}
      )
    }
  }

  #declare (instance: FastifyInstance, declared: RouteOptions): void {
    const name = `${String(declared.method)}:${declared.url}`
    // Once more, for a method that was added after the guard: `addHttpMethod`.
    checkMethods([declared.method].flat(), name)
    if (declared.websocketOptions?.checkOrigin === false) warnOfAnyOrigin(instance, name)
    const route = new WebsocketRoute(
      name,
      declared,
      resolveRouteOptions(declared.websocketOptions, this.#options, name),
      this.#plugin
    )
    route.mount(declared)
    if (declared.schema?.websocket !== undefined) {
      this.#compilerOptions ??= readCompilerOptions(instance)
    }
    this.#declarations.set(declared, { instance, declared, route })
  }
}

export function warnOfAnyOrigin (instance: FastifyInstance, where: string): void {
  instance.log.warn(
    `${where}: checkOrigin is false, a page of any origin may open websockets here with the cookies of its visitors`
  )
}

/**
 * For @fastify/swagger: the route has no answer to a plain request. The application's own `hide`
 * stands, and `WebsocketRoute.hidden` has it.
 */
function hideFromDocuments (declared: RouteOptions): void {
  declared.schema = { hide: true, ...declared.schema } as NonNullable<RouteOptions['schema']>
}
