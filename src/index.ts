import { websock } from './plugin/plugin.ts'

export { websock, websock as default }
export { defineWebsocketRoute, withTypeProvider } from './plugin/define.ts'
export { topic } from './connection/topic.ts'
export { closeCodes } from './wire/close-codes.ts'
export { pingFrame } from './wire/frame.ts'
export { typed } from './messages/typed.ts'

export type {
  InitArgs,
  InvalidMessage,
  NoStateFromInitAbove,
  WebsocketHandler,
  WebsocketHandlerObject,
  WebsocketTypes
} from './connection/handler.ts'
export type {
  Context as WebsocketContext,
  InitContext as WebsocketInitContext,
  Messages,
  RawSend
} from './connection/handler-context.ts'
export type {
  CallbackResult,
  CloseDetail,
  StopReason,
  TerminateReason
} from './connection/result.ts'
export type {
  DrainInfo,
  GapInfo,
  PresenceDiff,
  PresenceEntry
} from './connection/system-message.ts'
export type { Ref as WebsocketRef } from './connection/ref.ts'
export type { Task as WebsocketTask } from './connection/tasks.ts'
export type { WebsocketConnection, WebsocketConnections } from './plugin/connections.ts'
export type { Ok, Push, Result, Stop } from './connection/result.ts'
export type { Topic, TopicTypes } from './connection/topic.ts'
export type { Timer as WebsocketTimer } from './connection/timers.ts'
export type { TypeToken } from './messages/typed.ts'
export type { WebsocketOptions, WebsockOptions } from './plugin/options.ts'
export type { CheckOrigin } from './upgrade/origin.ts'
export type { ConnectionKey } from './plugin/connection-registry.ts'
export type {
  ContractOf,
  DefinedWebsocketRoute,
  DefineWebsocketRoute,
  SchemaContract,
  WebsocketContract,
  WebsocketRoute,
  WebsocketRouteHandler,
  WebsocketRouteOptions,
  WebsocketShorthandOptions
} from './plugin/types.ts'
export type {
  CallbackFailedMessage,
  CallbackMessage,
  ConnectionCloseMessage,
  ConnectionMessage,
  ConnectionOpenMessage,
  ConnectionSummary,
  EngineGapMessage,
  EngineMessage,
  MessageRefusedMessage,
  PeerSlowMessage,
  ReadingMessage,
  UpgradeAcceptedMessage,
  UpgradeRefusedMessage
} from './telemetry/channels.ts'
export type { ConnectionLogField } from './telemetry/connection-log-options.ts'
export type {
  CallbackStats,
  EngineStats,
  PresenceStats,
  RouteStats,
  WatchedConnection,
  WatchedStats,
  WebsockStats
} from './telemetry/stats.ts'
export type { Websock } from './plugin/websock.ts'
export type { Engine, EngineListener } from './pubsub/engine.ts'
export type { TopicListener } from './pubsub/listener.ts'
export type { BinaryCodec, Codec, TextCodec } from './wire/codec.ts'
export type { ControlFrame, OutgoingFrame, PingFrame, RawMessage } from './wire/frame.ts'
