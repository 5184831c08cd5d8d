export { ClientError } from './client-error.ts'
export { connect } from './client.ts'

export type { Codec } from '../wire/codec.ts'
export type { ClientErrorCode } from './client-error.ts'
export type {
  Client,
  ClientContract,
  ClientOptions,
  ClientState,
  ConnectionEnd,
  Failure,
  GiveUp,
  PingOptions,
  QueueOptions,
  RequestOptions,
  SendResult,
  WebSocketConstructor,
  WebSocketLike
} from './types.ts'
