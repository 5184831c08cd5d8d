import { createHash } from 'node:crypto'
import { validateHeaderName, validateHeaderValue, type IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { WebSocketServer, type WebSocket } from 'ws'
import { MIN_DEFLATED_BYTES } from '../connection/shared-frame.ts'
import { FST_WEBSOCK_BAD_HANDSHAKE } from '../errors.ts'
import type { Gate } from '../upgrade/gate.ts'
import { restoreHandshake } from '../upgrade/handshake.ts'
import type { ResolvedOptions } from './options.ts'
import type { Upgrade } from '../upgrade/upgrade.ts'

/** Pongs that a peer may leave unread before ws cuts it, without a close frame: 128 KiB of the largest. */
const MAX_PENDING_PONGS = 1024

/** RFC 6455 §1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** What ws is to think of a socket that has been switched already: that of a handshake with nothing to agree on. */
const SWITCHED = {
  method: 'GET',
  headers: { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
} as unknown as IncomingMessage

const NO_BYTES = Buffer.alloc(0)

const OPEN: PropertyDescriptorMap = { readable: { value: true, configurable: true, enumerable: true }, writable: { value: true, configurable: true, enumerable: true } }

/** The 101 of one route, and ws for its connections: for some from the beginning, for the others when they need it. */
export class Switch {
  readonly #options: ResolvedOptions
  readonly #gate: Gate
  readonly #server: WebSocketServer

  constructor (options: ResolvedOptions, gate: Gate) {
    this.#options = options
    this.#gate = gate
    this.#server = this.#openServer()
  }

  /**
   * Sends the 101 and calls `connect` in the same tick, with ws unless the connection begins without. Gives a refusal only before
   * anything is on the wire. A socket whose client has gone is destroyed.
   */
  perform (upgrade: Upgrade, connect: (websocket: WebSocket | undefined) => void): Error | undefined {
    if (this.#needsWs(upgrade)) return this.#performByWs(upgrade, connect)
    const { socket, head, headers, subprotocol, headerLines } = upgrade
    if (!socket.readable || !socket.writable) {
      socket.destroy()
      return undefined
    }
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${acceptKey(headers['sec-websocket-key'])}`]
    if (subprotocol !== null) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`)
    lines.push(...headerLines, '\r\n')
    // Header values are latin1, as Node writes them (RFC 9110 §5.5).
    socket.write(lines.join('\r\n'), 'latin1')
    upgrade.accept()
    if (head.length > 0) socket.unshift(head)
    connect(undefined)
    return undefined
  }

  /** Gives ws a socket whose 101 has been sent, in whatever state it is by now: as if ws had had it from the beginning. */
  openWebsocket (socket: Socket): WebSocket {
    let opened: WebSocket | undefined
    const { write, setTimeout, setNoDelay } = socket
    const broken = !socket.readable || !socket.writable
    // ws would leave it, though there may be more to read.
    if (broken) Object.defineProperties(socket, OPEN)
    // ws begins with a 101 of its own, and with settings that are the application's by now.
    Object.assign(socket, { write: () => true, setTimeout: undefined, setNoDelay: undefined })
    this.#server.handleUpgrade(SWITCHED, socket, NO_BYTES, (websocket) => { opened = websocket })
    Object.assign(socket, { write, setTimeout, setNoDelay })
    if (broken) for (const name in OPEN) Reflect.deleteProperty(socket, name)
    return opened as unknown as WebSocket
  }

  #needsWs ({ socket, headers }: Upgrade): boolean {
    const { fastLane, compress } = this.#options
    return !fastLane || !(socket instanceof Socket) || (Boolean(compress) && headers['sec-websocket-extensions'] !== undefined)
  }

  #performByWs (upgrade: Upgrade, connect: (websocket: WebSocket) => void): Error | undefined {
    // As above, for ws writes the head as a string. By the older name of latin1, which the streams of injectWS know too.
    upgrade.socket.setDefaultEncoding('binary')
    restoreHandshake(upgrade.request.headers, upgrade.headers)
    this.#server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (websocket) => {
      upgrade.accept()
      connect(websocket)
    })
    upgrade.socket.setDefaultEncoding('utf8')
    return upgrade.failure === undefined ? undefined : new FST_WEBSOCK_BAD_HANDSHAKE(upgrade.failure.message)
  }

  /** One for each route, because ws takes limits and extensions from its server. */
  #openServer (): WebSocketServer {
    const { maxMessageBytes, compress, closeTimeoutMs } = this.#options
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      // ws counts a compressed message before and after inflation, and what cannot be compressed grows: zlib's own bound.
      // The connection counts what came out.
      maxPayload: compress ? maxMessageBytes + (maxMessageBytes >>> 12) + (maxMessageBytes >>> 14) + 16 : maxMessageBytes,
      // Without context takeover: else each connection keeps zlib's windows, and ws minds no threshold.
      perMessageDeflate: compress ? { threshold: MIN_DEFLATED_BYTES, serverNoContextTakeover: true, clientNoContextTakeover: true } : false,
      // Not in @types/ws yet. ws closes 1008 beyond its 16 384 fragments, each an object of its own; so many of 64 bytes
      // are a message of 1 MiB. A larger limit lets larger messages come in fragments as small.
      ...{ closeTimeout: closeTimeoutMs, maxFragments: Math.max(16_384, Math.ceil(maxMessageBytes / 64)), maxPendingAutoPongs: MAX_PENDING_PONGS },
      handleProtocols: (_offered, request) => this.#gate.find(request)?.subprotocol ?? false
    })
    server.on('headers', (lines, request) => {
      const upgrade = this.#gate.find(request)
      if (upgrade === undefined) return
      // What was agreed on stands nowhere else in ws's public surface.
      upgrade.smallWindow = lines.some((line) => line.includes('server_max_window_bits'))
      lines.push(...upgrade.headerLines)
    })
    server.on('wsClientError', (error, _socket, request) => {
      const upgrade = this.#gate.find(request)
      if (upgrade !== undefined) upgrade.failure = error
    })
    return server
  }
}

/** RFC 6455 §4.2.2, 5.4. */
function acceptKey (key: string | undefined): string {
  return createHash('sha1').update(`${key ?? ''}${GUID}`).digest('base64')
}

// Hop-by-hop (RFC 9110 §7.6.1), those of the handshake, and those of a body, which a 101 has not.
const NOT_ON_101 = /^(connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|content-(type|length|encoding|language|location|range)|sec-websocket-.*)$/i

/** The headers set so far, on `reply` and on `reply.raw`, as lines. Throws for what would not stay in its line. */
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
