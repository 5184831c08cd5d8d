import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { FastifyError, FastifyRequest } from 'fastify'
import {
  FST_WEBSOCK_BAD_HANDSHAKE, FST_WEBSOCK_NO_SUBPROTOCOL, FST_WEBSOCK_ORIGIN_REFUSED,
  FST_WEBSOCK_UNSUPPORTED_VERSION, FST_WEBSOCK_UPGRADE_REQUIRED
} from '../errors.ts'
import { isOriginAllowed, type CheckOrigin } from './origin.ts'

/** The options of the handshake checks. */
export interface HandshakeOptions {
  readonly checkOrigin: CheckOrigin
  readonly subprotocols: readonly string[]
  readonly requireSubprotocol: boolean
}

/**
 * The refusal of a request, or undefined when the request passed the checks. A promise only when
 * `checkOrigin` is a function.
 */
type Verdict = FastifyError | undefined | Promise<FastifyError | undefined>

/**
 * Tells whether a request asks for a WebSocket (RFC 6455 §4.2.1, 1 to 4). HTTP may ignore any other
 * upgrade (RFC 9110 §7.8).
 */
export function isWebsocketUpgrade ({
  method,
  headers
}: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return (
    method === 'GET' &&
    hasToken(headers.connection, 'upgrade') &&
    hasToken(headers.upgrade, 'websocket')
  )
}

/**
 * Copies the headers that the handshake uses, unchanged. An object literal, because a copy of all
 * headers costs more and runs for each upgrade.
 */
export function copyHandshake (headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return {
    connection: headers.connection,
    upgrade: headers.upgrade,
    host: headers.host,
    origin: headers.origin,
    'sec-websocket-version': headers['sec-websocket-version'],
    'sec-websocket-key': headers['sec-websocket-key'],
    'sec-websocket-protocol': headers['sec-websocket-protocol'],
    'sec-websocket-extensions': headers['sec-websocket-extensions'],
    'transfer-encoding': headers['transfer-encoding'],
    'content-length': headers['content-length']
  }
}

/**
 * Runs the checks that need only the request. `headers`: as the client sent them, see `Upgrade`.
 */
export function checkHandshake (
  request: FastifyRequest,
  headers: IncomingHttpHeaders,
  options: HandshakeOptions
): Verdict {
  const { method, httpVersion } = request.raw
  if (!isWebsocketUpgrade({ method, headers })) return upgradeRequired({ httpVersion, headers })
  if (headers['sec-websocket-version'] !== '13') {
    return withHeaders(new FST_WEBSOCK_UNSUPPORTED_VERSION(), {
      'sec-websocket-version': '13',
      upgrade: 'websocket',
      connection: 'upgrade, close'
    })
  }
  // 16 bytes are 22 characters of base64 and two of padding.
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    return new FST_WEBSOCK_BAD_HANDSHAKE('Sec-WebSocket-Key must be 16 bytes in base64')
  }
  if (headers.host === undefined) return new FST_WEBSOCK_BAD_HANDSHAKE('Host is missing')
  // Node keeps only the first Host header, and the Origin check depends on it (RFC 9112 §3.2).
  if (countHeader(request.raw, 'host') > 1) {
    return new FST_WEBSOCK_BAD_HANDSHAKE('there is more than one Host')
  }
  if (httpVersion !== '1.1') return new FST_WEBSOCK_BAD_HANDSHAKE('HTTP must be 1.1')
  // Node passes on the bytes after the head, so a body would be read as frames.
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0') {
    return new FST_WEBSOCK_BAD_HANDSHAKE('there must be no body')
  }
  const allowed = isOriginAllowed(options.checkOrigin, headers.origin, request)
  return typeof allowed === 'boolean'
    ? originVerdict(allowed, headers)
    : allowed.then((answer) => originVerdict(answer, headers))
}

/**
 * Selects the first configured subprotocol that the client offers, or null. Returns a refusal when
 * there is none and one is required.
 */
export function agreeOnSubprotocol (
  headers: IncomingHttpHeaders,
  options: HandshakeOptions
): string | null | FastifyError {
  const header = headers['sec-websocket-protocol']
  const offered = header === undefined ? [] : parseSubprotocols(header)
  if (offered === undefined) {
    return new FST_WEBSOCK_BAD_HANDSHAKE(
      'Sec-WebSocket-Protocol must be a list of different tokens'
    )
  }
  const agreed = options.subprotocols.find((protocol) => offered.includes(protocol))
  if (agreed !== undefined) return agreed
  return options.requireSubprotocol
    ? new FST_WEBSOCK_NO_SUBPROTOCOL(options.subprotocols.join(', '))
    : null
}

/** 426 for a GET that asks for no WebSocket. */
export function upgradeRequired ({
  httpVersion,
  headers
}: Pick<IncomingMessage, 'httpVersion' | 'headers'>): FastifyError {
  // HTTP/2 knows neither header, and Node throws (RFC 9113 §8.2.2).
  if (httpVersion.startsWith('2')) return new FST_WEBSOCK_UPGRADE_REQUIRED()
  // RFC 9110 §7.8: a sender of Upgrade lists it in Connection. Node adds no `close` to a Connection
  // header that is set. Without `close` the socket of a client that waits for its end would stay
  // open.
  const closes = httpVersion !== '1.1' || hasToken(headers.connection, 'close')
  return withHeaders(new FST_WEBSOCK_UPGRADE_REQUIRED(), {
    upgrade: 'websocket',
    connection: closes ? 'upgrade, close' : 'upgrade'
  })
}

function originVerdict (allowed: boolean, headers: IncomingHttpHeaders): FastifyError | undefined {
  return allowed ? undefined : new FST_WEBSOCK_ORIGIN_REFUSED(headers.origin?.slice(0, 200))
}

function parseSubprotocols (header: string): string[] | undefined {
  const tokens = header.split(',').map((token) => token.trim())
  // Only ASCII, because `trim` also removes a non-breaking space.
  const clean =
    /^[\t -~]*$/.test(header) &&
    tokens.every((token) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(token))
  return clean && new Set(tokens).size === tokens.length ? tokens : undefined
}

function countHeader ({ rawHeaders }: IncomingMessage, name: string): number {
  let count = 0
  // A request of `injectWS` has no `rawHeaders`.
  for (let i = 0; i < ((rawHeaders as string[] | undefined)?.length ?? 0); i += 2) {
    const header = rawHeaders[i] as string
    if (header.length === name.length && header.toLowerCase() === name) count++
  }
  return count
}

function hasToken (header: string | undefined, token: string): boolean {
  if (header === undefined) return false
  const list = header.toLowerCase()
  return (
    list === token ||
    (list.includes(token) && list.split(',').some((part) => part.trim() === token))
  )
}

function withHeaders (
  error: FastifyError,
  headers: Readonly<Record<string, string>>
): FastifyError {
  return Object.assign(error, { headers })
}
