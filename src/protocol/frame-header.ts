/** The opcodes of RFC 6455 §5.2. */
export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10
} as const

/** FIN: this frame is the last of its message. */
export const FIN = 0x80

/** RSV1 on the first frame of a message: the message is compressed (RFC 7692 §6). */
export const RSV1 = 0x40

/** First byte of an unfragmented frame: FIN and the opcode. */
export const FIRST_BYTES = {
  text: FIN | OPCODES.text,
  binary: FIN | OPCODES.binary,
  close: FIN | OPCODES.close,
  ping: FIN | OPCODES.ping,
  pong: FIN | OPCODES.pong
} as const

/** The longest header of a server's frame: two bytes, and eight of extended length. */
export const MAX_HEADER_BYTES = 10

/** Writes the header of an unmasked frame (RFC 6455 §5.2). Returns the position of the payload. */
export function writeHeader (bytes: Buffer, at: number, firstByte: number, length: number): number {
  bytes[at] = firstByte
  if (length < 126) {
    bytes[at + 1] = length
    return at + 2
  }
  if (length < 65536) {
    bytes[at + 1] = 126
    bytes[at + 2] = length >>> 8
    bytes[at + 3] = length & 255
    return at + 4
  }
  bytes[at + 1] = 127
  bytes.writeUIntBE(0, at + 2, 2)
  return bytes.writeUIntBE(length, at + 4, 6)
}
