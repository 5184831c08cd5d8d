export const SLOTS = 16_384

/**
 * Returns the hash slot of a channel in a Redis Cluster: CRC16 (XMODEM) of its bytes, or of its
 * hash tag (Redis Cluster specification).
 */
export function slotOf (channel: string): number {
  const opened = channel.indexOf('{')
  const closed = opened < 0 ? -1 : channel.indexOf('}', opened + 1)
  const hashed = closed > opened + 1 ? channel.slice(opened + 1, closed) : channel
  let crc = 0
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
  }
  return (crc & 0xffff) % SLOTS
}
