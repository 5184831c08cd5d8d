/**
 * `timeout`, `lost`, `dropped`, `refused`, `closed`: a request failed. `overflow`: an iteration
 * failed. `undecodable`: a frame could not be decoded.
 */
export type ClientErrorCode =
  'timeout' | 'lost' | 'dropped' | 'refused' | 'closed' | 'overflow' | 'undecodable'

/** The error of requests and iterations, also reported to `onError`. */
export class ClientError extends Error {
  override readonly name = 'ClientError'

  constructor (
    readonly code: ClientErrorCode,
    /** Tells whether the request was sent. When false, the server has not received it. */
    readonly sent: boolean,
    options?: ErrorOptions
  ) {
    super(code, options)
  }
}
