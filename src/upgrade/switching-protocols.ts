import { createHash } from 'node:crypto'
import { validateHeaderName, validateHeaderValue, type IncomingHttpHeaders } from 'node:http'
import type { FastifyError, FastifyReply } from 'fastify'
import { FST_WEBSOCK_BAD_HANDSHAKE } from '../errors.ts'
import { negotiateDeflate, type DeflateAgreement } from '../protocol/deflate.ts'
import type { Deflate } from '../wire/deflate.ts'
import type { Upgrade } from './upgrade.ts'

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Headers of a 101 besides the accepted key. */
export interface SwitchingProtocols {
  readonly subprotocol: string | null
  readonly deflate: DeflateAgreement | undefined
  /** Headers that hooks have set. */
  readonly headerLines: readonly string[]
}

/**
 * Answers an offer of permessage-deflate. `compress`: the route's option. Returns a refusal when
 * the header is malformed (RFC 6455 §9.1).
 */
export function agreeOnDeflate (
  headers: IncomingHttpHeaders,
  compress: false | { readonly threshold: number }
): (DeflateAgreement & Deflate) | FastifyError | undefined {
  if (compress === false) return undefined
  const agreement = negotiateDeflate(headers['sec-websocket-extensions'])
  if (agreement === undefined) return undefined
  if (agreement !== 'malformed') return { ...agreement, threshold: compress.threshold }
  return new FST_WEBSOCK_BAD_HANDSHAKE('Sec-WebSocket-Extensions must be a list of extensions')
}

/**
 * Sends the 101 (RFC 6455 §4.2.2). When the client is gone, destroys the socket and returns false.
 *
 * The caller must create the connection in the same tick, or bytes of the client are lost.
 */
export function switchProtocols (
  upgrade: Upgrade,
  { subprotocol, deflate, headerLines }: SwitchingProtocols
): boolean {
  const { socket, head, headers } = upgrade
  if (!socket.readable || !socket.writable) {
    socket.destroy()
    return false
  }
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptKey(headers['sec-websocket-key'])}`
  ]
  if (subprotocol !== null) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`)
  if (deflate !== undefined) lines.push(`Sec-WebSocket-Extensions: ${deflate.header}`)
  lines.push(...headerLines, '\r\n')
  // Header values are latin1, as Node writes them (RFC 9110 §5.5).
  socket.write(Buffer.from(lines.join('\r\n'), 'latin1'))
  upgrade.accept()
  if (head.length > 0) socket.unshift(head)
  return true
}

/** RFC 6455 §4.2.2, 5.4. */
function acceptKey (key: string | undefined): string {
  return createHash('sha1').update(`${key ?? ''}${GUID}`).digest('base64')
}

// Hop-by-hop headers (RFC 9110 §7.6.1), headers of the handshake, and headers of a body: a 101 has
// none.
const NOT_ON_101 = new RegExp(`^(${[
  'connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
  'content-(type|length|encoding|language|location|range)', 'sec-websocket-.*'
].join('|')})$`, 'i')

/**
 * The headers set so far on `reply` and on `reply.raw`, one line each. Throws for an invalid name
 * or value, such as a value with a line break.
 */
export function toHeaderLines (reply: FastifyReply): string[] {
  const lines: string[] = []
  const headers = reply.getHeaders()
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || NOT_ON_101.test(name)) continue
    validateHeaderName(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      validateHeaderValue(name, String(item))
      lines.push(`${name}: ${String(item)}`)
    }
  }
  return lines
}
