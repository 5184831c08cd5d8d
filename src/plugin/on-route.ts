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
 * Two onRoute hooks: `before` runs before the onRoute hook of @fastify/websocket, `after` runs
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

  /**
   * The routes in the order of their declaration, each with the Fastify instance that declared it.
   */
  get declarations (): ReadonlyArray<Pick<Declaration, 'instance' | 'declared'>> {
    return [...this.#declarations.values()]
  }

  before (instance: FastifyInstance, declared: RouteOptions): void {
    if (declared.websocketOptions !== undefined && declared.websocketHandler === undefined) {
      throw new FST_WEBSOCK_INVALID_HANDLER(
        `${String(declared.method)}:${declared.url}`,
        '',
        'set where `websocketOptions` is set'
      )
    }
    if (declared.websocketHandler !== undefined) {
      // Fastify adds a HEAD route for each GET route. A HEAD request cannot be upgraded.
      if (declared.method !== 'HEAD') this.#declare(instance, declared)
      if (!hasOwnHandler(declared)) hideFromDocuments(declared)
    }
    this.#handlers.set(declared, declared.handler)
  }

  /**
   * Restores the handler that @fastify/websocket has wrapped. On a plain route its wrapper would
   * answer an upgrade with 101 and close at once, instead of the HTTP answer. Routes of
   * @fastify/websocket (`websocket: true`, `wsHandler`) keep the wrapper.
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
    // Checked again for a method that `addHttpMethod` added after the route methods were wrapped.
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
    `${where}: checkOrigin is false, so a page of any origin can open websockets here with the ` +
    'cookies of its visitors'
  )
}

/**
 * Hides the route from @fastify/swagger, because it has no answer to a plain request. A `hide` of
 * the application is kept. `WebsocketRoute.hidden` has its value.
 */
function hideFromDocuments (declared: RouteOptions): void {
  declared.schema = { hide: true, ...declared.schema } as NonNullable<RouteOptions['schema']>
}
