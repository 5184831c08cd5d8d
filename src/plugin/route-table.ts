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
 * Tells which upgrades belong to websocket routes, before any hook runs.
 *
 * Fastify tells publicly only that some route matches, so its GET routes are looked up once more
 * here, with its own router and its router options.
 */
export class RouteTable {
  readonly #instance: FastifyInstance
  readonly #routing: Routing
  readonly #routes: readonly DeclaredRoute[]
  #find: ((request: IncomingMessage) => boolean) | undefined

  /** `routes`: all of the server, in the order of their declaration. */
  constructor (instance: FastifyInstance, routes: readonly DeclaredRoute[]) {
    this.#instance = instance
    this.#routing = instance.routing.bind(instance)
    this.#routes = routes
  }

  /** To be called when all routes are declared. */
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
    // A strategy of `addConstraintStrategy` may be asynchronous, and then `rewriteUrl` below could
    // not end the call.
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
    // Copies: find-my-way writes into them, and these are frozen.
    constraints: Object.fromEntries(constraints.map(([name, strategy]) => [name, { ...strategy }]))
  }
}

/** `known`: the constraints that can be looked at. Any value of another one counts as a match. */
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
  // Websocket routes first: of two that differ only in constraints that are not known, the first
  // one stands.
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
  // It gives what the handler gives, which takes no part in an answer.
  return (request) =>
    router.lookup(request as IncomingMessage, undefined as never) as unknown as boolean
}

/**
 * The URL that Fastify looks a route up by. What its `rewriteUrl` option makes of a request's URL
 * is not public, but `routing` calls it first: it is given a view of the request that ends the call
 * at the lookup, before a route is found.
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
    // The lookup's first question, but the option's function may ask, too.
    method: { get: () => rewriting ? request.method : end() },
    destroy: { value: end }
  }) as IncomingMessage
  try {
    // A response that ends the call as well, whatever is done with it.
    routing(view, new Proxy({}, { get: end }) as ServerResponse)
  } catch (error) {
    if (error !== stop) throw error
  }
  return url
}
