import type { RawMessage } from './frame.ts'

/**
 * How a message becomes a frame and a frame a message.
 *
 * `decode` is given whole messages of its own opcode only, and throws when the bytes are no
 * message. `encode` is given what passed the `send` schema, and throws when it cannot be written.
 */
export interface Codec {
  /** The opcode that its frames have; a message of the other one is refused. */
  readonly opcode: RawMessage['opcode']
  /** The media type of its messages, for documents: `application/msgpack`. */
  readonly contentType?: string
  /** `data` is a string when `opcode` is `text`, bytes when it is `binary`. */
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
