/** `timeout`, `lost`, `dropped`, `refused`, `closed`: of a request. `overflow`: of an iteration. */
export type ClientErrorCode =
  'timeout' | 'lost' | 'dropped' | 'refused' | 'closed' | 'overflow' | 'undecodable'

/** What the client rejects with, and reports. */
export class ClientError extends Error {
  override readonly name = 'ClientError'

  constructor (
    readonly code: ClientErrorCode,
    /** Tells whether the request had left: when false, the server has certainly not seen it. */
    readonly sent: boolean,
    options?: ErrorOptions
  ) {
    super(code, options)
  }
}
