/**
 * A complete data message as it was received. A route without a `receive` schema receives such
 * messages, and a route without a `send` schema may send them.
 */
export type RawMessage =
  | { readonly opcode: 'text', readonly data: string }
  | { readonly opcode: 'binary', readonly data: Uint8Array }

/**
 * A ping or pong from the peer (RFC 6455 §5.5.2, §5.5.3). `data` has 0 to 125 bytes and is never
 * null.
 */
export interface ControlFrame {
  readonly opcode: 'ping' | 'pong'
  readonly data: Uint8Array
}

/** A frame to send. */
export type OutgoingFrame = RawMessage | PingFrame

/** Maximum payload of a control frame (RFC 6455 §5.5). */
export const MAX_CONTROL_BYTES = 125

/** A ping to send. Created by {@link pingFrame}. */
export class PingFrame {
  readonly opcode = 'ping'

  constructor (readonly data: string | Uint8Array) {}
}

/**
 * Builds a ping to push or send like a message: `ws.push(pingFrame('are you there'))`.
 *
 * `data`: a string, a buffer or a view of one, of 0 to 125 bytes (RFC 6455 §5.5). A callback that
 * pushes a longer ping fails. `handleControl` receives the answer: a pong with the same bytes.
 */
export function pingFrame (data: string | ArrayBufferView | ArrayBufferLike = ''): PingFrame {
  return new PingFrame(toBytes(data))
}

/** Converts data to bytes. Other values are returned unchanged, and refused when they are sent. */
function toBytes (data: string | ArrayBufferView | ArrayBufferLike): string | Uint8Array {
  if (typeof data === 'string' || data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  // Checked by the tag, because a buffer of another realm is no `instanceof` this realm's class.
  const isBuffer = /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(data))
  return isBuffer ? new Uint8Array(data) : data as never
}
