import type { FastifyRequest } from 'fastify'

/**
 * Who may connect, with the meaning of Phoenix's `check_origin`: a request without an Origin header
 * passes always.
 *
 * `true`: the origin's host must be the request's own (`request.hostname`, so `trustProxy` counts).
 * A list: `https://example.com`, or without the scheme `//example.com`, with a port or any;
 * `//*.example.com` takes the apex and any depth below. Origins that are no pages' can be listed as
 * they are sent: `null`, `file://`, `app://MyApp`. A function decides alone. `false`: everybody.
 */
export type CheckOrigin =
  | boolean
  | readonly string[]
  | ((origin: string, request: FastifyRequest) => boolean | Promise<boolean>)

interface AllowedOrigin {
  /** With its colon, as in URL; undefined: any. */
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

/** Tells whether this request may come from where it says it comes from. */
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

/** Tells whether `checkOrigin` may list it. */
export function isOriginEntry (entry: string): boolean {
  return OPAQUE.test(entry) || parseAllowedOrigin(entry) !== undefined
}

/** `null`, and a scheme without a host: not that of a page, which always has one. */
const OPAQUE = /^(null|(?!https?:|wss?:)[a-z][a-z0-9+.-]*:\/\/)$/i

function isSameOpaque (origin: string, entry: string): boolean {
  return OPAQUE.test(entry) && entry.toLowerCase() === origin.toLowerCase()
}

/** Reads one entry of a list. Undefined when it is none. */
function parseAllowedOrigin (entry: string): AllowedOrigin | undefined {
  const [, protocol, wildcard, rest] =
    /^([a-z][a-z0-9+.-]*:)?\/\/(\*\.)?([^/?#@*]+)$/i.exec(entry) ?? []
  if (rest === undefined) return undefined
  const url = parseUrl(`http://${rest}`)
  if (url === undefined) return undefined
  const scheme = protocol?.toLowerCase()
  // The URL class forgets a port that is http's own.
  const port =
    /:(\d+)$/.exec(rest)?.[1] ?? (scheme === undefined ? undefined : DEFAULT_PORTS[scheme])
  return { protocol: scheme, hostname: url.hostname, port, subdomains: wildcard !== undefined }
}

/**
 * Only `true` lets in. What the function throws is for the error handler, but Fastify takes a falsy
 * error for none.
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
  // The URL class writes hosts in lower case only where it knows the scheme: not in app://MyApp.
  const hostname = origin.hostname.toLowerCase()
  const port = origin.port === '' ? DEFAULT_PORTS[origin.protocol] : origin.port
  return (
    (allowed.protocol === undefined || allowed.protocol === origin.protocol) &&
    (allowed.port === undefined || allowed.port === port) &&
    (allowed.hostname === hostname ||
      (allowed.subdomains && hostname.endsWith(`.${allowed.hostname}`)))
  )
}

/** An origin is scheme, host and port and nothing else (RFC 6454 §6.2); `null` is none. */
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
