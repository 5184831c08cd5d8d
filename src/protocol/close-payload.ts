import { isUtf8 } from 'node:buffer'
import { closeCodes, isSendableCode } from '../wire/close-codes.ts'

/** The content of a close frame. */
export interface Closing {
  /** 1005: the frame had no code. */
  readonly code: number
  readonly reason: string
}

/** The problem of an invalid close frame, and the close code to answer with. */
export class InvalidClosing {
  constructor (readonly code: number, readonly problem: string) {}
}

/**
 * Reads the payload of a close frame (RFC 6455 §5.5.1, §7.4). The frame parser has refused
 * payloads of one byte.
 */
export function readClosePayload (payload: Buffer): Closing | InvalidClosing {
  if (payload.length === 0) return { code: closeCodes.noCode, reason: '' }
  const code = payload.readUInt16BE()
  if (!isSendableCode(code)) {
    return new InvalidClosing(closeCodes.protocolError, `a close frame with the code ${code}`)
  }
  if (!isUtf8(payload.subarray(2))) {
    return new InvalidClosing(closeCodes.invalidPayload, 'a close reason that is not UTF-8')
  }
  return { code, reason: payload.toString('utf8', 2) }
}

/** Builds the payload of a close frame. The reason is at most 123 bytes of UTF-8. */
export function buildClosePayload (code: number, reason: string): Buffer {
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason))
  payload.writeUInt16BE(code)
  payload.write(reason, 2)
  return payload
}
