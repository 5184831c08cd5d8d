/** Opcode and FIN (RFC 6455 §5.2). */
export const FIRST_BYTES = { text: 0x81, binary: 0x82, close: 0x88, ping: 0x89, pong: 0x8a } as const
export const MAX_HEADER = 10

/** RFC 6455 §5.2, not masked. Returns where the payload begins. */
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
