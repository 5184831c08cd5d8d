import { createHash, timingSafeEqual } from 'node:crypto'

/** Tells whether two secrets are equal, in constant time. */
export function isSameSecret (a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

/** A hash, so that both values have the same length. */
function digest (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
