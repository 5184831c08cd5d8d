import { parse } from 'secure-json-parse'
import type { TextCodec } from '../wire/codec.ts'
import { checkAll } from './sendable.ts'

export interface JsonCodecOptions {
  /** What a `__proto__` key does: Fastify's `onProtoPoisoning`. */
  readonly protoAction: 'error' | 'remove' | 'ignore'
  /** What a `constructor.prototype` key does: Fastify's `onConstructorPoisoning`. */
  readonly constructorAction: 'error' | 'remove' | 'ignore'
}

/**
 * JSON over text frames, with the same guard against poisoned prototypes as Fastify's body parser.
 */
export function buildJsonCodec (options: JsonCodecOptions): TextCodec {
  return {
    opcode: 'text',
    decode: (text) => (isSuspect(text) ? parse(text, null, options) : parsePlain(text)),
    encode: (message) => {
      checkAll(message)
      // Undefined for undefined, whatever lib.d.ts says.
      const text = JSON.stringify(message) as string | undefined
      if (text === undefined) throw new TypeError(`${typeof message} is no JSON`)
      return text
    }
  }
}

/** False under `node --frozen-intrinsics`, where errors keep their stack traces. */
const canLimitStackTraces =
  Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true

/** Its error has no stack trace: a hostile client makes many. That guard does the same. */
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
 * What that guard looks at twice, by its regular expressions, can only be where these are. It takes
 * off a byte order mark, too.
 */
function isSuspect (text: string): boolean {
  return (
    text.includes('__proto__') ||
    text.includes('constructor') ||
    text.includes('\\u') ||
    text.charCodeAt(0) === 0xfeff
  )
}
