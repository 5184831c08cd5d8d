import { createHash, timingSafeEqual } from 'node:crypto'

/** Tells whether two secrets are the same, in a time that depends on neither. */
export function isSameSecret (a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b))
}

/** So that both are of one length. */
function digest (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
