import { FST_WEBSOCK_PROTOCOL_ERROR } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { TerminateReason } from './handler.ts'

/*
 * The codes that ws documents (doc/ws.md, "Error codes"), with the close code that it has sent for each.
 * All others of its receiver are 1002.
 */
const CODES: ReadonlyMap<string, number> = new Map([
  ['WS_ERR_INVALID_UTF8', closeCodes.invalidPayload],
  ['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', closeCodes.messageTooBig],
  ['WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', closeCodes.messageTooBig],
  ['WS_ERR_TOO_MANY_BUFFERED_PARTS', closeCodes.policyViolation]
])

/**
 * What an `error` event of ws means. `expected`: the peer's doing, a matter of course on the open internet;
 * otherwise ours or the machine's, worth a line in the log. The close frame has been sent by ws.
 */
export function resolveSocketError (error: Error & { code?: unknown }): { reason: TerminateReason, expected: boolean } {
  const name = String(error.code)
  if (name.startsWith('WS_ERR_')) return { reason: broken(error, CODES.get(name) ?? closeCodes.protocolError), expected: true }
  // zlib: the peer's deflated bytes were none.
  if (name.startsWith('Z_')) return { reason: broken(error, closeCodes.invalidPayload), expected: true }
  return { reason: { type: 'error', error, code: closeCodes.abnormal }, expected: false }
}

function broken (cause: Error, code: number): TerminateReason {
  return { type: 'error', error: Object.assign(new FST_WEBSOCK_PROTOCOL_ERROR(cause.message), { cause }), code }
}
