import type { RawMessage } from './frame.ts'

/**
 * Converts messages to frames and frames to messages.
 *
 * `decode` receives complete messages with the codec's own opcode only, and throws when it cannot
 * decode one. `encode` receives messages that match the `send` schema, and throws when it cannot
 * encode one.
 */
export interface Codec {
  /** The opcode of its frames. A received message with the other opcode is refused. */
  readonly opcode: RawMessage['opcode']
  /** The media type of its messages, for AsyncAPI documents: `application/msgpack`. */
  readonly contentType?: string
  /** `data` is a string for the opcode `text`, and bytes for `binary`. */
  readonly decode: (data: never) => unknown
  readonly encode: (message: unknown) => string | Uint8Array
}

/** A codec over text frames. */
export interface TextCodec extends Codec {
  readonly opcode: 'text'
  readonly decode: (data: string) => unknown
  readonly encode: (message: unknown) => string
}

/** A codec over binary frames: MessagePack, CBOR and the like. */
export interface BinaryCodec extends Codec {
  readonly opcode: 'binary'
  readonly decode: (data: Uint8Array) => unknown
  readonly encode: (message: unknown) => Uint8Array
}
