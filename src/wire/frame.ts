/**
 * A whole data message as it stood on the wire: what a route without a `receive` schema is given,
 * and may send.
 */
export type RawMessage =
  | { readonly opcode: 'text', readonly data: string }
  | { readonly opcode: 'binary', readonly data: Uint8Array }

/**
 * A ping or pong that the peer sent (RFC 6455 §5.5.2, §5.5.3). `data` has 0 to 125 bytes and is
 * never null.
 */
export interface ControlFrame {
  readonly opcode: 'ping' | 'pong'
  readonly data: Uint8Array
}

/** One frame on its way out. */
export type OutgoingFrame = RawMessage | PingFrame

/** RFC 6455 §5.5: a control frame carries 125 bytes at most. */
export const MAX_CONTROL_BYTES = 125

/** A ping on its way out. Built by {@link pingFrame}. */
export class PingFrame {
  readonly opcode = 'ping'

  constructor (readonly data: string | Uint8Array) {}
}

/**
 * Builds a ping, to be pushed like a message: `ws.push(pingFrame('are you there'))`.
 *
 * `data`: text, a buffer or a view of one, of 0 to 125 bytes (RFC 6455 §5.5); more is the error of
 * the callback that pushes it. The answer arrives at `handleControl` as a pong with the same bytes.
 */
export function pingFrame (data: string | ArrayBufferView | ArrayBufferLike = ''): PingFrame {
  return new PingFrame(toBytes(data))
}

/** Anything else goes through, and is refused where it is sent. */
function toBytes (data: string | ArrayBufferView | ArrayBufferLike): string | Uint8Array {
  if (typeof data === 'string' || data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  // By its tag, which a buffer of another realm has, too.
  const isBuffer = /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(data))
  return isBuffer ? new Uint8Array(data) : data as never
}
