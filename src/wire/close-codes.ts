/**
 * Close codes by name (RFC 6455 §7.4.1 and the IANA registry). A frame never contains two of them,
 * which are marked.
 */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never in a frame: the peer's close frame had no code. */
  noCode: 1005,
  /** Never in a frame: TCP ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013
} as const

/**
 * Maximum length of a close reason: the 125 bytes of a control frame (RFC 6455 §5.5) without the
 * two of the code.
 */
export const MAX_REASON_BYTES = 123

/** Tells whether a close frame may carry this code: 1000–1003, 1007–1014, 3000–4999. */
export function isSendableCode (code: number): boolean {
  return (
    Number.isInteger(code) &&
    ((code >= 1000 && code <= 1003) ||
      (code >= 1007 && code <= 1014) ||
      (code >= 3000 && code <= 4999))
  )
}
