import type { FastifyRequest } from 'fastify'

/**
 * The origins that may connect, with the meaning of Phoenix's `check_origin`. A request without an
 * Origin header always passes.
 *
 * `true`: the origin's host must equal the request's host (`request.hostname`, so `trustProxy`
 * applies). A list: `https://example.com`, or `//example.com` for any scheme, each with a port or
 * without. `//*.example.com` matches the domain and all its subdomains. Origins without a host are
 * listed as the client sends them: `null`, `file://`, `app://MyApp`. A function: called with each
 * Origin, only `true` allows it. `false`: any origin.
 */
export type CheckOrigin =
  | boolean
  | readonly string[]
  | ((origin: string, request: FastifyRequest) => boolean | Promise<boolean>)

interface AllowedOrigin {
  /** With its colon, as in URL. Undefined: any. */
  readonly protocol: string | undefined
  readonly hostname: string
  /** Undefined: any. */
  readonly port: string | undefined
  readonly subdomains: boolean
}

const DEFAULT_PORTS: Readonly<Record<string, string | undefined>> = {
  'http:': '80',
  'https:': '443',
  'ws:': '80',
  'wss:': '443'
}

/** Tells whether `checkOrigin` allows the Origin of this request. */
export function isOriginAllowed (
  check: CheckOrigin,
  origin: string | undefined,
  request: FastifyRequest
): boolean | Promise<boolean> {
  if (origin === undefined || check === false) return true
  if (typeof check === 'function') return ask(check, origin, request)
  const url = parseUrl(origin)
  if (check === true) {
    return url !== undefined && url.hostname === parseUrl(`http://${request.hostname}`)?.hostname
  }
  return check.some(
    (entry) =>
      isSameOpaque(origin, entry) || (url !== undefined && matches(url, parseAllowedOrigin(entry)))
  )
}

/** Tells whether this is a valid entry of a `checkOrigin` list. */
export function isOriginEntry (entry: string): boolean {
  return OPAQUE.test(entry) || parseAllowedOrigin(entry) !== undefined
}

/** Matches `null` and a scheme without a host. The origin of a web page always has a host. */
const OPAQUE = /^(null|(?!https?:|wss?:)[a-z][a-z0-9+.-]*:\/\/)$/i

function isSameOpaque (origin: string, entry: string): boolean {
  return OPAQUE.test(entry) && entry.toLowerCase() === origin.toLowerCase()
}

/** Parses one entry of a list. Returns undefined when it is invalid. */
function parseAllowedOrigin (entry: string): AllowedOrigin | undefined {
  const [, protocol, wildcard, rest] =
    /^([a-z][a-z0-9+.-]*:)?\/\/(\*\.)?([^/?#@*]+)$/i.exec(entry) ?? []
  if (rest === undefined) return undefined
  const url = parseUrl(`http://${rest}`)
  if (url === undefined) return undefined
  const scheme = protocol?.toLowerCase()
  // The URL class drops port 80, the default of http.
  const port =
    /:(\d+)$/.exec(rest)?.[1] ?? (scheme === undefined ? undefined : DEFAULT_PORTS[scheme])
  return { protocol: scheme, hostname: url.hostname, port, subdomains: wildcard !== undefined }
}

/**
 * Calls the function of `checkOrigin`. Only `true` allows the request. An error of the function
 * goes to the error handler; a falsy error refuses the request, because Fastify takes a falsy error
 * for none.
 */
function ask (
  check: Extract<CheckOrigin, (...args: never) => unknown>,
  origin: string,
  request: FastifyRequest
): boolean | Promise<boolean> {
  const refuse = (error: unknown): boolean => {
    if (error) throw error
    return false
  }
  try {
    const answer = check(origin, request)
    return answer instanceof Promise
      ? answer.then((allowed) => allowed === true, refuse)
      : answer === true
  } catch (error) {
    return refuse(error)
  }
}

function matches (origin: URL, allowed: AllowedOrigin | undefined): boolean {
  if (allowed === undefined) return false
  // The URL class lowercases a host only for the schemes it knows, so not in app://MyApp.
  const hostname = origin.hostname.toLowerCase()
  const port = origin.port === '' ? DEFAULT_PORTS[origin.protocol] : origin.port
  return (
    (allowed.protocol === undefined || allowed.protocol === origin.protocol) &&
    (allowed.port === undefined || allowed.port === port) &&
    (allowed.hostname === hostname ||
      (allowed.subdomains && hostname.endsWith(`.${allowed.hostname}`)))
  )
}

/**
 * Parses an origin: scheme, host and port, nothing else (RFC 6454 §6.2). Returns undefined for
 * `null`.
 */
function parseUrl (text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const bare = url.pathname === '/' || url.pathname === ''
  return bare &&
    url.hostname !== '' &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
    ? url
    : undefined
}
