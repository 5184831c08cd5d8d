import { FST_WEBSOCK_UNSENDABLE } from '../errors.ts'
import type { Codec } from '../wire/codec.ts'
import { MAX_CONTROL_BYTES, PingFrame, type OutgoingFrame } from '../wire/frame.ts'
import { buildCheck, Mismatch, type Check } from './check.ts'
import type { MessageCompilers } from './compilers.ts'
import { TypeToken } from './typed.ts'
import { findDiscriminatedUnion, membersOf, readDiscriminant } from './union.ts'

export interface EncodeOptions {
  /** The `send` schema; undefined: strings and bytes go out as they are. */
  readonly schema: object | undefined
  readonly codec: Codec
  /** The codec is JSON: the schema's serializer writes it at once. */
  readonly json: boolean
  readonly compilers: MessageCompilers
}

/** Builds the function from a message to its frame. What it cannot send, it throws as FST_WEBSOCK_UNSENDABLE. */
export function buildEncode (options: EncodeOptions): (message: unknown) => OutgoingFrame {
  const write = buildWrite(options)
  return (message) => {
    if (!(message instanceof PingFrame)) return write(message)
    if (Buffer.byteLength(message.data) > MAX_CONTROL_BYTES) throw new FST_WEBSOCK_UNSENDABLE(`a ping has at most ${MAX_CONTROL_BYTES} bytes`)
    return message
  }
}

function buildWrite ({ schema, codec, json, compilers }: EncodeOptions): (message: unknown) => OutgoingFrame {
  if (schema === undefined) return toRawFrame
  const encode = schema instanceof TypeToken
    ? codec.encode
    : json ? buildSerialize(schema, compilers.serializer) : buildStrippedEncode(schema, codec, compilers)
  return (message) => {
    let data: string | Uint8Array
    try {
      data = encode(message)
    } catch (error) {
      throw unsendable(error)
    }
    // The codec's word for its own opcode is the pair that wire/codec.ts types.
    return { opcode: codec.opcode, data } as OutgoingFrame
  }
}

function toRawFrame (message: unknown): OutgoingFrame {
  if (typeof message === 'string') return { opcode: 'text', data: message }
  if (message instanceof Uint8Array) return { opcode: 'binary', data: message }
  const { opcode, data } = (message ?? {}) as { opcode?: unknown, data?: unknown }
  if (opcode === 'text' && typeof data === 'string') return { opcode, data }
  if (opcode === 'binary' && data instanceof Uint8Array) return { opcode, data }
  throw new FST_WEBSOCK_UNSENDABLE('without a `send` schema a message is a string, a Uint8Array, or { opcode, data }')
}

function buildSerialize (schema: object, compile: MessageCompilers['serializer']): (message: unknown) => string {
  const union = findDiscriminatedUnion(schema)
  if (union === undefined) return compile(schema)
  const { field } = union
  const serializers = new Map([...union.members].map(([value, member]) => [value, compile(member)]))
  return (message) => {
    const value = readDiscriminant(message, field)
    const serialize = serializers.get(value ?? '')
    if (serialize === undefined) throw new TypeError(`${field} ${JSON.stringify(value)} is in no member of the send schema`)
    return serialize(message)
  }
}

/** For a codec that is not JSON: the message is checked and stripped as a copy, because it is still the handler's own. */
function buildStrippedEncode (schema: object, codec: Codec, compilers: MessageCompilers): (message: unknown) => string | Uint8Array {
  const members = findDiscriminatedUnion(schema) === undefined ? membersOf(schema) : []
  const checks: Check[] = (members.length > 0 ? members : [schema]).map((member) => buildCheck(member, compilers.stripper))
  return (message) => {
    let outcome: unknown
    for (const check of checks) {
      outcome = check(structuredClone(message))
      if (!(outcome instanceof Mismatch)) return codec.encode(outcome)
    }
    throw new TypeError((outcome as Mismatch).message)
  }
}

function unsendable (cause: unknown): Error {
  const error = new FST_WEBSOCK_UNSENDABLE(cause instanceof Error ? cause.message : String(cause))
  return Object.assign(error, { cause })
}
