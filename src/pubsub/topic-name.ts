import { FST_WEBSOCK_INVALID_TOPIC } from '../errors.ts'

/** Prefixes of engine topics: topics of the application, of one node, and the presence topic. */
export const TOPIC = 't:'
export const NODE = 'n:'
export const PRESENCE = 'p'

const MAX_LENGTH = 1024

/**
 * Checks that the name of a topic has 1 to 1 024 characters and no lone surrogate. Throws
 * FST_WEBSOCK_INVALID_TOPIC.
 */
export function checkTopicName (name: unknown): void {
  if (typeof name !== 'string') throw new FST_WEBSOCK_INVALID_TOPIC(MAX_LENGTH, typeof name)
  if (name === '' || name.length > MAX_LENGTH) {
    throw new FST_WEBSOCK_INVALID_TOPIC(MAX_LENGTH, `one of ${name.length}`)
  }
  if (!isWellFormed(name)) {
    const problem = `one of ${name.length} with half of a surrogate pair`
    throw new FST_WEBSOCK_INVALID_TOPIC(MAX_LENGTH, problem)
  }
}

/** A lone surrogate does not survive UTF-8: two topics would become one at the broker. */
function isWellFormed (name: string): boolean {
  // Part of Node 20 and ES2024, but not of the `lib` configured for TypeScript.
  return (name as string & { isWellFormed (): boolean }).isWellFormed()
}
