/**
 * Close codes by name (RFC 6455 §7.4.1 and the IANA registry). The two that never travel are
 * marked.
 */
export const closeCodes = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  /** Never on the wire: the peer's close frame had no code. */
  noCode: 1005,
  /** Never on the wire: TCP ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013
} as const

/** RFC 6455 §5.5: 125 bytes of a control frame, less the two of the code. */
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
