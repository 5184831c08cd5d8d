// The types of the ES module of `fastify-websock/client`, with the names of src/client/index.ts.
export { ClientError, connect } from './dist/client/index.js'
export type {
  Client, ClientContract, ClientErrorCode, ClientOptions, ClientState, Codec, ConnectionEnd,
  Failure, GiveUp, PingOptions, QueueOptions, RequestOptions, SendResult, WebSocketConstructor,
  WebSocketLike
} from './dist/client/index.js'
