import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import findMyWay, { type Handler, type HTTPVersion } from 'find-my-way'
import type { DeclaredRoute } from './route-methods.ts'
import { isWebsocketRoute } from './route.ts'

type Version = HTTPVersion.V1
type Config = NonNullable<Parameters<typeof findMyWay<Version>>[0]>
type Routing = FastifyInstance['routing']
type Looked = Pick<IncomingMessage, 'method' | 'url' | 'headers'>

/**
 * Finds out which upgrades belong to websocket routes, before any hook runs.
 *
 * Fastify's public API tells only whether some route matches. So this table has a second router
 * with the same GET routes and the same router options.
 */
export class RouteTable {
  readonly #instance: FastifyInstance
  readonly #routing: Routing
  readonly #routes: readonly DeclaredRoute[]
  #find: ((request: IncomingMessage) => boolean) | undefined

  /** `routes`: all routes of the server, in the order of their declaration. */
  constructor (instance: FastifyInstance, routes: readonly DeclaredRoute[]) {
    this.#instance = instance
    this.#routing = instance.routing.bind(instance)
    this.#routes = routes
  }

  /** Must be called when all routes are declared. */
  build (): void {
    this.#find = this.#buildFind()
  }

  isWebsocketRoute (request: IncomingMessage): boolean {
    return this.#find?.(request) === true
  }

  #buildFind (): (request: IncomingMessage) => boolean {
    const options = readRouterOptions(this.#instance)
    const known = new Set(['host', 'version', ...Object.keys(options.constraints ?? {})])
    const lookup = buildLookup(this.#routes, options, known)
    // A strategy of `addConstraintStrategy` may be asynchronous. `rewriteUrl` below cannot stop an
    // asynchronous call.
    const strange = this.#routes.some(({ route }) =>
      Object.keys(route.constraints ?? {}).some((name) => !known.has(name))
    )
    return (request) => {
      const url = strange ? request.url ?? '/' : rewriteUrl(this.#routing, request)
      return lookup({ method: 'GET', url, headers: request.headers })
    }
  }
}

function readRouterOptions ({ initialConfig }: FastifyInstance): Config {
  const names = [
    'caseSensitive',
    'ignoreTrailingSlash',
    'ignoreDuplicateSlashes',
    'maxParamLength',
    'allowUnsafeRegex',
    'useSemicolonDelimiter'
  ] as const
  const given = { ...initialConfig, ...initialConfig.routerOptions } as Config
    & Readonly<Record<(typeof names)[number], unknown>>
  const constraints = Object.entries(given.constraints ?? {}).filter(
    ([, { deriveConstraint }]) => deriveConstraint.length <= 2
  )
  return {
    ...Object.fromEntries(
      names.filter((name) => given[name] !== undefined).map((name) => [name, given[name]])
    ),
    // Copies, because find-my-way writes into the strategies, and Fastify has frozen them.
    constraints: Object.fromEntries(constraints.map(([name, strategy]) => [name, { ...strategy }]))
  }
}

/**
 * `known`: the names of constraints that can be evaluated. Any value of another constraint matches.
 */
function buildLookup (
  routes: readonly DeclaredRoute[],
  options: Config,
  known: ReadonlySet<string>
): (request: Looked) => boolean {
  const refuse = (): boolean => false
  const router = findMyWay<Version>({
    ...options,
    defaultRoute: refuse,
    onBadUrl: refuse,
    onMaxParamLength: refuse
  })
  // Websocket routes come first: of two routes that differ only in unknown constraints, the router
  // keeps the first.
  for (const isWebsocket of [true, false]) {
    const answer = (() => isWebsocket) as unknown as Handler<Version>
    for (const { url, route } of routes) {
      if (isWebsocketRoute(route) !== isWebsocket) continue
      const constraints = Object.fromEntries(
        Object.entries(route.constraints ?? {}).filter(([name]) => known.has(name))
      )
      for (const path of [url, route.url]) {
        if (router.findRoute('GET', path, constraints) === null) {
          router.on('GET', path, { constraints }, answer)
        }
      }
    }
  }
  // `lookup` returns the result of the handler. It never writes an answer, so it needs no response.
  return (request) =>
    router.lookup(request as IncomingMessage, undefined as never) as unknown as boolean
}

/**
 * Returns the URL that Fastify looks a route up by. The result of Fastify's `rewriteUrl` option is
 * not public, but `routing` calls the option first. So `routing` gets a view of the request that
 * throws at the lookup, before a route is found.
 */
function rewriteUrl (routing: Routing, request: IncomingMessage): string {
  let url = request.url ?? '/'
  let rewriting = false
  const stop = new Error('only the URL was asked for')
  const end = (): never => { throw stop }
  const view = Object.create(request, {
    originalUrl: { get: () => request.url, set () { rewriting = true } },
    url: {
      get: () => url,
      set (rewritten: string) {
        url = rewritten
        end()
      }
    },
    // The lookup reads `method` first. The `rewriteUrl` function may read it too.
    method: { get: () => rewriting ? request.method : end() },
    destroy: { value: end }
  }) as IncomingMessage
  try {
    // Any use of this response throws too.
    routing(view, new Proxy({}, { get: end }) as ServerResponse)
  } catch (error) {
    if (error !== stop) throw error
  }
  return url
}
