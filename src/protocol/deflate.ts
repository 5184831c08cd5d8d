import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'

/*
 * permessage-deflate (RFC 7692), without context takeover in either direction: no connection keeps
 * a zlib stream, and a message for many connections is compressed once.
 *
 * zlib runs synchronously on the main thread, so messages are decoded in order.
 */

/** The result of the negotiation between a client and this server. */
export interface DeflateAgreement {
  /** The window size for compression: 9 to 15 (`server_max_window_bits`). */
  readonly windowBits: number
  /** Value of the response's Sec-WebSocket-Extensions header. */
  readonly header: string
}

/** The end of a compressed message, which is removed before sending (RFC 7692 §7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff])

/** RFC 9110 §5.6.2. */
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/.source
/** Matches an extension or a parameter. The value is a token, quoted or not (RFC 6455 §9.1). */
const PARAMETER = new RegExp(
  `^[\\t ]*(${TOKEN})[\\t ]*(?:=[\\t ]*("?)(${TOKEN})\\2[\\t ]*)?$`
)

type Parameters = ReadonlyMap<string, string | undefined>

/**
 * Answers a Sec-WebSocket-Extensions header: accepts the first acceptable offer of
 * permessage-deflate. `undefined`: there is none. `malformed`: the header is not a list of
 * extensions.
 */
export function negotiateDeflate (
  header: string | undefined
): DeflateAgreement | undefined | 'malformed' {
  if (header === undefined) return undefined
  let agreement: DeflateAgreement | undefined
  for (const offer of header.split(',')) {
    const [name, ...parts] = offer.split(';').map((part) => PARAMETER.exec(part))
    if (name?.[1] === undefined || name[3] !== undefined || parts.includes(null)) return 'malformed'
    if (name[1] === 'permessage-deflate') agreement ??= acceptOffer(parts as RegExpExecArray[])
  }
  return agreement
}

/** Accepts one offer. Undefined for an offer that a server must decline (RFC 7692 §5.1, §7.1). */
function acceptOffer (parts: readonly RegExpExecArray[]): DeflateAgreement | undefined {
  const parameters: Parameters = new Map(parts.map((part) => [part[1] as string, part[3]]))
  if (parameters.size < parts.length) return undefined
  for (const [name, value] of parameters) if (!isValidParameter(name, value)) return undefined
  const windowBits = Number(parameters.get('server_max_window_bits') ?? 15)
  // zlib does not support a window of 256 bytes.
  if (windowBits === 8) return undefined
  const limited = parameters.has('server_max_window_bits')
  return {
    windowBits,
    header: 'permessage-deflate; server_no_context_takeover; client_no_context_takeover' +
      (limited ? `; server_max_window_bits=${windowBits}` : '')
  }
}

function isValidParameter (name: string, value: string | undefined): boolean {
  switch (name) {
    case 'server_no_context_takeover':
    case 'client_no_context_takeover': return value === undefined
    case 'server_max_window_bits': return isWindowBits(value)
    case 'client_max_window_bits': return value === undefined || isWindowBits(value)
    default: return false
  }
}

function isWindowBits (value: string | undefined): boolean {
  return value !== undefined && /^([89]|1[0-5])$/.test(value)
}

/** The maximum size of a compressed message of this many bytes: the bound of zlib. */
export function maxDeflatedBytes (bytes: number): number {
  return bytes + (bytes >>> 12) + (bytes >>> 14) + 16
}

/** Compresses one message. */
export function deflateMessage (data: string | Uint8Array, windowBits: number): Buffer {
  const options = { finishFlush: constants.Z_SYNC_FLUSH, windowBits }
  return deflateRawSync(data, options).subarray(0, -TAIL.length)
}

/** Inflates one message. Uses at most `maxBytes` plus one chunk of zlib for the result. */
export function inflateMessage (payload: Buffer, maxBytes: number): Buffer | 'too big' | 'invalid' {
  try {
    return inflateRawSync(Buffer.concat([payload, TAIL]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: maxBytes,
      chunkSize: Math.min(65_536, Math.max(1024, payload.length * 4))
    })
  } catch (error) {
    return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too big' : 'invalid'
  }
}
