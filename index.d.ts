import type { FastifyInstance } from 'fastify'
import {
  closeCodes, defineWebsocketRoute, pingFrame, typed, withTypeProvider,
  type BinaryCodec, type CallbackResult, type CheckOrigin, type CloseDetail, type Codec, type ConnectionKey, type ContractOf,
  type ControlFrame, type DefineWebsocketRoute, type DrainInfo, type Engine, type EngineListener, type GapInfo, type InitArgs, type InvalidMessage, type Messages, type Ok, type OutgoingFrame,
  type PingFrame, type PresenceDiff, type PresenceEntry, type Push, type RawMessage, type RawSend, type Result, type SchemaContract, type Stop, type StopReason,
  type TerminateReason, type TextCodec, type TopicListener, type TypeToken, type WebsocketContext, type WebsocketContract, type WebsocketHandler,
  type WebsocketHandlerObject, type WebsocketInitContext, type WebsocketOptions, type WebsocketRef, type WebsocketRoute,
  type WebsocketRouteHandler, type WebsocketRouteOptions, type WebsocketShorthandOptions, type WebsocketTimer, type WebsocketTypes,
  type Websock, type WebsockOptions
} from './dist/index.js'

type Plugin = typeof websock

/** What index.js is at run time: the plugin, with everything else as its properties. The names are those of src/index.ts. */
declare namespace websock {
  export const websock: Plugin
  export { websock as default }
  export { closeCodes, defineWebsocketRoute, pingFrame, typed, withTypeProvider }
  export type {
    BinaryCodec, CallbackResult, CheckOrigin, CloseDetail, Codec, ConnectionKey, ContractOf, ControlFrame, DefineWebsocketRoute,
    DrainInfo, Engine, EngineListener, GapInfo, PresenceDiff, PresenceEntry, TopicListener,
    InitArgs, InvalidMessage, Messages, Ok, OutgoingFrame, PingFrame, Push, RawMessage, RawSend, Result, SchemaContract, Stop,
    StopReason, TerminateReason, TextCodec, TypeToken, WebsocketContext, WebsocketContract, WebsocketHandler,
    WebsocketHandlerObject, WebsocketInitContext, WebsocketOptions, WebsocketRef, WebsocketRoute, WebsocketRouteHandler,
    WebsocketRouteOptions, WebsocketShorthandOptions, WebsocketTimer, WebsocketTypes, Websock, WebsockOptions
  }
}

/** The Fastify plugin: `await app.register(websock, options)`. Throws a coded error for a wrong or unknown option. */
declare function websock (instance: FastifyInstance, options: WebsockOptions): Promise<void>

export = websock
