export function countUp (count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** Encodes numbers as a payload. */
export function encode (value: readonly number[]): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function decode (bytes: Uint8Array): number[] {
  return JSON.parse(new TextDecoder().decode(bytes)) as number[]
}
