/**
 * From this length on, unmasking four bytes at a time is faster, although it has to create a view.
 */
const LONG = 256

const maskBytes = new Uint8Array(4)
const maskWord = new Int32Array(maskBytes.buffer)

/**
 * Unmasks a payload in place with the four bytes before `from` (RFC 6455 §5.3). A second call
 * restores the masked payload. Returns true when the unmasked payload is ASCII.
 */
export function unmask (bytes: Buffer, from: number, to: number): boolean {
  const key = from - 4
  if (to - from < LONG) return unmaskBytes(bytes, from, to, key) < 0x80
  const aligned = from + (-(bytes.byteOffset + from) & 3)
  const rest = to - ((to - aligned) & 3)
  // The key repeats every four bytes: the words and the last bytes start at other positions in it.
  for (let i = 0; i < 4; i++) maskBytes[i] = bytes[key + ((aligned - from + i) & 3)] as number
  const words = unmaskWords(
    new Int32Array(bytes.buffer, bytes.byteOffset + aligned, (rest - aligned) >>> 2),
    maskWord[0] as number
  )
  let others = 0
  for (let i = from; i < aligned; i++) {
    others |= bytes[i] = (bytes[i] as number) ^ (bytes[key + ((i - from) & 3)] as number)
  }
  for (let i = rest; i < to; i++) {
    others |= bytes[i] = (bytes[i] as number) ^ (bytes[key + ((i - from) & 3)] as number)
  }
  return (words & 0x80808080) === 0 && others < 0x80
}

/** Returns the bitwise OR of all unmasked bytes. */
function unmaskBytes (bytes: Buffer, from: number, to: number, key: number): number {
  const a = bytes[key] as number
  const b = bytes[key + 1] as number
  const c = bytes[key + 2] as number
  const d = bytes[key + 3] as number
  let all = 0
  let i = from
  for (const last = to - 3; i < last; i += 4) {
    all |= (bytes[i] = (bytes[i] as number) ^ a) | (bytes[i + 1] = (bytes[i + 1] as number) ^ b) |
      (bytes[i + 2] = (bytes[i + 2] as number) ^ c) | (bytes[i + 3] = (bytes[i + 3] as number) ^ d)
  }
  if (i < to) all |= (bytes[i] = (bytes[i] as number) ^ a)
  if (i + 1 < to) all |= (bytes[i + 1] = (bytes[i + 1] as number) ^ b)
  if (i + 2 < to) all |= (bytes[i + 2] = (bytes[i + 2] as number) ^ c)
  return all
}

/** Returns the bitwise OR of all unmasked words. */
function unmaskWords (words: Int32Array, mask: number): number {
  let all = 0
  for (let i = 0; i < words.length; i++) all |= (words[i] = (words[i] as number) ^ mask)
  return all
}
