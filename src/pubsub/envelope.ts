import { parse } from 'secure-json-parse'
import { FST_WEBSOCK_UNSENDABLE } from '../errors.ts'
import { isSendableCode, MAX_REASON_BYTES } from '../wire/close-codes.ts'

/** A message from one node to another. */
export interface Envelope {
  /**
   * `publish`: an info for the subscribers of a topic. `broadcast`: a message for their clients.
   * `post`: an info for one connection. `presence`: a presence message. `close`: ends one
   * connection.
   */
  readonly kind: Kind
  /** The name of the node that sent it. */
  readonly node: string
  /**
   * With `post` and `close`: the address of the receiver. Otherwise: the address of the subscriber
   * to leave out, or ''.
   */
  readonly address: string
  readonly body: unknown
}

export type Kind = typeof KINDS[number]

const VERSION = 1
const KINDS = ['publish', 'broadcast', 'post', 'presence', 'close'] as const
/** The encodings of a body: JSON, bytes, or the bytes of `{ opcode: 'binary', data }`. */
const FORMS = ['json', 'bytes', 'binary message'] as const

const MAX_ADDRESS_LENGTH = 255
const NODE = /^[\w-]{1,64}$/
const ADDRESS = /^[\w-]+\.[\w-]+$/

/**
 * Encodes an envelope: version, kind, form, sender and address (each after one byte with its
 * length), body.
 *
 * Throws FST_WEBSOCK_UNSENDABLE for a body that JSON cannot hold, or that the receiving node would
 * refuse.
 */
export function encodeEnvelope ({ kind, node, address, body }: Envelope): Buffer {
  const [form, data] = writeBody(body)
  // The application may pass anything. A value that is not an address identifies no connection.
  const known = isAddress(address) ? address : ''
  const head = 5 + node.length + known.length
  const bytes = Buffer.allocUnsafe(head + Buffer.byteLength(data))
  bytes[0] = VERSION
  bytes[1] = KINDS.indexOf(kind)
  bytes[2] = FORMS.indexOf(form)
  writeShort(bytes, 3, node)
  writeShort(bytes, 4 + node.length, known)
  if (typeof data === 'string') bytes.write(data, head)
  else bytes.set(data, head)
  return bytes
}

/**
 * Decodes a payload from the broker. Any client of the broker may have published it: returns
 * undefined when it is not a valid envelope of this version.
 */
export function decodeEnvelope (payload: Uint8Array): Envelope | undefined {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  const kind = KINDS[bytes[1] ?? KINDS.length]
  const form = FORMS[bytes[2] ?? FORMS.length]
  if (bytes[0] !== VERSION || kind === undefined || form === undefined) return undefined
  const node = readShort(bytes, 3)
  const address = node === undefined ? undefined : readShort(bytes, 4 + node.length)
  if (
    node === undefined ||
    address === undefined ||
    !NODE.test(node) ||
    !(address === '' || isAddress(address))
  ) {
    return undefined
  }
  try {
    return {
      kind,
      node,
      address,
      body: readBody(form, bytes.subarray(5 + node.length + address.length))
    }
  } catch {
    return undefined
  }
}

/** Tells whether a text has the form of an address: a node name, a dot, and letters or digits. */
export function isAddress (value: string): boolean {
  return value.length <= MAX_ADDRESS_LENGTH && ADDRESS.test(value)
}

/** Returns the name of the node in an address. */
export function nodeOf (address: string): string {
  return address.slice(0, address.indexOf('.'))
}

/** Tells whether the body of a `close` is a close code and a reason that may be sent. */
export function isCloseFrame (body: unknown): body is [code: number, reason: string] {
  if (!Array.isArray(body)) return false
  const [code, reason] = body as unknown[]
  return (
    typeof code === 'number' &&
    isSendableCode(code) &&
    typeof reason === 'string' &&
    Buffer.byteLength(reason) <= MAX_REASON_BYTES
  )
}

/** Parses JSON as the receiving nodes do. Throws for JSON that they refuse. */
export function readJson (json: string): unknown {
  return parse(json)
}

function writeBody (body: unknown): [form: typeof FORMS[number], data: string | Uint8Array] {
  if (body instanceof Uint8Array) return ['bytes', body]
  if (isBinaryMessage(body)) return ['binary message', body.data]
  let json: string | undefined
  try {
    json = JSON.stringify(body)
    // A search for the names avoids parsing nearly all bodies again.
    if (json?.includes('"__proto__":') || json?.includes('"constructor":')) readJson(json)
  } catch (cause) {
    throw Object.assign(
      new FST_WEBSOCK_UNSENDABLE(
        `infos and messages are sent to other nodes as JSON: ${String(cause)}`
      ),
      { cause }
    )
  }
  if (json === undefined) {
    throw new FST_WEBSOCK_UNSENDABLE(
      `infos and messages are sent to other nodes as JSON, which has no ${typeof body}`
    )
  }
  return ['json', json]
}

function readBody (form: typeof FORMS[number], bytes: Buffer): unknown {
  switch (form) {
    case 'json': return readJson(decodeUtf8(bytes))
    // Copied: the client of the broker may reuse the memory of `bytes`.
    case 'bytes': return Buffer.from(bytes)
    case 'binary message': return { opcode: 'binary', data: Buffer.from(bytes) }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8 (bytes: Buffer): string {
  return utf8.decode(bytes)
}

function isBinaryMessage (body: unknown): body is { opcode: 'binary', data: Uint8Array } {
  const { opcode, data } = (body ?? {}) as { opcode?: unknown, data?: unknown }
  return opcode === 'binary' && data instanceof Uint8Array
}

function writeShort (bytes: Buffer, at: number, text: string): void {
  bytes[at] = text.length
  bytes.write(text, at + 1, 'latin1')
}

function readShort (bytes: Buffer, at: number): string | undefined {
  const length = bytes[at]
  return length === undefined || at + 1 + length > bytes.length
    ? undefined
    : bytes.toString('latin1', at + 1, at + 1 + length)
}
