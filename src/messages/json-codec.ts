import { parse } from 'secure-json-parse'
import type { TextCodec } from '../wire/codec.ts'
import { checkAll } from './sendable.ts'

export interface JsonCodecOptions {
  /** What happens for a `__proto__` key: Fastify's `onProtoPoisoning`. */
  readonly protoAction: 'error' | 'remove' | 'ignore'
  /** What happens for a `constructor.prototype` key: Fastify's `onConstructorPoisoning`. */
  readonly constructorAction: 'error' | 'remove' | 'ignore'
}

/**
 * Builds the codec for JSON over text frames. It guards against prototype poisoning in the same way
 * as Fastify's body parser.
 */
export function buildJsonCodec (options: JsonCodecOptions): TextCodec {
  return {
    opcode: 'text',
    decode: (text) => (isSuspect(text) ? parse(text, null, options) : parsePlain(text)),
    encode: (message) => {
      checkAll(message)
      // The declared type is wrong: the result is undefined for undefined.
      const text = JSON.stringify(message) as string | undefined
      if (text === undefined) throw new TypeError(`${typeof message} is not JSON`)
      return text
    }
  }
}

/** False under `node --frozen-intrinsics`, where errors keep their stack traces. */
const canLimitStackTraces =
  Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

/**
 * Parses JSON. Its error has no stack trace, because a hostile client may cause many. `parse` of
 * secure-json-parse does the same.
 */
function parsePlain (text: string): unknown {
  if (!canLimitStackTraces) return JSON.parse(text)
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return JSON.parse(text)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/**
 * Tells whether a text needs `parse` of secure-json-parse. Only a text with one of these parts can
 * match its regular expressions. It also removes a byte order mark.
 */
function isSuspect (text: string): boolean {
  return (
    text.includes('__proto__') ||
    text.includes('constructor') ||
    text.includes('\\u') ||
    text.charCodeAt(0) === 0xfeff
  )
}
