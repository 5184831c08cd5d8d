import { FST_WEBSOCK_UNSENDABLE } from '../errors.ts'
import type { Codec } from '../wire/codec.ts'
import { MAX_CONTROL_BYTES, PingFrame, type OutgoingFrame } from '../wire/frame.ts'
import { isUint8Array } from 'node:util/types'
import { messageOf } from '../foreign-value.ts'
import { buildCheck, Mismatch, refusePromise } from './check.ts'
import type { MessageCompilers } from './compilers.ts'
import { buildCheckSendable } from './sendable.ts'
import { TypeToken } from './typed.ts'
import { findDiscriminatedUnion, readDiscriminant } from './union.ts'

export interface EncodeOptions {
  /** The `send` schema. Undefined: strings and bytes are sent unchanged. */
  readonly schema: object | undefined
  readonly codec: Codec
  /** True for the JSON codec: the schema's serializer then writes the frame directly. */
  readonly json: boolean
  readonly compilers: MessageCompilers
}

/**
 * Builds the function that encodes a message as a frame. It throws FST_WEBSOCK_UNSENDABLE for a
 * message that cannot be sent.
 */
export function buildEncode (options: EncodeOptions): (message: unknown) => OutgoingFrame {
  const write = buildWrite(options)
  return (message) => {
    if (!(message instanceof PingFrame)) return write(message)
    const { data } = message
    if (typeof data !== 'string' && !isUint8Array(data)) {
      throw new FST_WEBSOCK_UNSENDABLE('pingFrame takes a string, a buffer or a view of one')
    }
    if (Buffer.byteLength(data) > MAX_CONTROL_BYTES) {
      throw new FST_WEBSOCK_UNSENDABLE(`a ping has at most ${MAX_CONTROL_BYTES} bytes`)
    }
    return message
  }
}

function buildWrite ({
  schema,
  codec,
  json,
  compilers
}: EncodeOptions): (message: unknown) => OutgoingFrame {
  if (schema === undefined) return toRawFrame
  const encode = schema instanceof TypeToken
    ? codec.encode
    : json ? buildSerialize(schema, compilers) : buildStrippedEncode(schema, codec, compilers)
  const field = findDiscriminatedUnion(schema)?.field
  return (message) => {
    let data: string | Uint8Array
    try {
      data = encode(message)
      refusePromise(data, json ? 'the serializer of the `send` schema' : '`encode` of the codec')
    } catch (error) {
      throw unsendable(error, message, field)
    }
    // The types of a codec do not hold at run time: a codec may return anything.
    if (codec.opcode === 'text' ? typeof data !== 'string' : !isUint8Array(data)) {
      throw new FST_WEBSOCK_UNSENDABLE(`\`encode\` of the codec returned ${typeof data}, which a ${codec.opcode} frame cannot carry`)
    }
    // `opcode` and `data` fit together: both come from the codec, and the check above has passed.
    return { opcode: codec.opcode, data } as OutgoingFrame
  }
}

function toRawFrame (message: unknown): OutgoingFrame {
  if (typeof message === 'string') return { opcode: 'text', data: message }
  if (isUint8Array(message)) return { opcode: 'binary', data: message }
  const { opcode, data } = (message ?? {}) as { opcode?: unknown, data?: unknown }
  if (opcode === 'text' && typeof data === 'string') return { opcode, data }
  if (opcode === 'binary' && isUint8Array(data)) return { opcode, data }
  throw new FST_WEBSOCK_UNSENDABLE(
    'without a `send` schema (`schema.websocket.send`) a message is a string, a Uint8Array, or { opcode, data }'
  )
}

function buildSerialize (
  schema: object,
  compilers: MessageCompilers
): (message: unknown) => string {
  const union = findDiscriminatedUnion(schema)
  if (union === undefined) return buildCheckedSerialize(schema, compilers)
  const { field } = union
  const serializers = new Map(
    [...union.members].map(([value, member]) => [value, buildCheckedSerialize(member, compilers)])
  )
  return (message) => {
    const value = readDiscriminant(message, field)
    const serialize = serializers.get(value ?? '')
    if (serialize === undefined) {
      throw new TypeError(value === undefined
        ? `no ${field}, by which the \`send\` schema tells messages apart`
        : `no member of the \`send\` schema has this ${field}`)
    }
    return serialize(message)
  }
}

/**
 * Builds a serializer that refuses values that JSON cannot hold. Serializers of other kinds of
 * schema, such as zod, check by themselves.
 */
function buildCheckedSerialize (
  schema: object,
  { serializer, jsonSchema }: MessageCompilers
): (message: unknown) => string {
  const serialize = serializer(schema)
  const check = jsonSchema ? buildCheckSendable(schema) : () => {}
  return (message) => {
    if (message === undefined) throw new TypeError('undefined is not JSON')
    check(message)
    return serialize(message)
  }
}

/**
 * Builds the encoding for a codec that is not JSON. It encodes a copy with only the properties that
 * the schema names, because the message belongs to the handler.
 */
function buildStrippedEncode (
  schema: object,
  codec: Codec,
  compilers: MessageCompilers
): (message: unknown) => string | Uint8Array {
  const strip = compilers.jsonSchema
    ? buildStripBySerializer(schema, compilers)
    : buildStripByValidator(schema, compilers)
  return (message) => codec.encode(strip(message))
}

function buildStripByValidator (
  schema: object,
  { validator }: MessageCompilers
): (message: unknown) => unknown {
  const check = buildCheck(schema, validator)
  return (message) => {
    const stripped = check(message)
    if (stripped instanceof Mismatch) throw new TypeError(stripped.message)
    return stripped
  }
}

/**
 * Strips a message by serializing it to JSON and parsing it again. JSON cannot hold bytes: a random
 * text that a client cannot guess stands for them meanwhile.
 */
function buildStripBySerializer (
  schema: object,
  compilers: MessageCompilers
): (message: unknown) => unknown {
  const serialize = buildSerialize(schema, compilers)
  const mark = `bytes ${crypto.randomUUID()} `
  return (message) => {
    const kept: Uint8Array[] = []
    const marked = replaceBytes(message, (bytes) => `${mark}${kept.push(bytes) - 1}`)
    return JSON.parse(serialize(marked), (_key, value: unknown) =>
      typeof value === 'string' && value.startsWith(mark)
        ? kept[Number(value.slice(mark.length))]
        : value
    )
  }
}

/** Copies plain objects and arrays, with bytes replaced. All other values stay the same. */
function replaceBytes (value: unknown, by: (bytes: Uint8Array) => string): unknown {
  if (value instanceof Uint8Array) return by(value)
  if (Array.isArray(value)) return value.map((item) => replaceBytes(item, by))
  if (typeof value !== 'object' || value === null || !isPlain(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaceBytes(item, by)])
  )
}

function isPlain (value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** `field`: the field by which the `send` schema tells messages apart. */
function unsendable (cause: unknown, message: unknown, field: string | undefined): Error {
  const error = new FST_WEBSOCK_UNSENDABLE(nameOf(message, field) + messageOf(cause))
  return Object.assign(error, { cause })
}

/** Empty for a message without a name, or with a getter that throws. */
function nameOf (message: unknown, field: string | undefined): string {
  if (field === undefined) return ''
  try {
    const value = readDiscriminant(message, field)
    return value === undefined ? '' : `a message with the ${field} ${JSON.stringify(value)}: `
  } catch {
    return ''
  }
}
