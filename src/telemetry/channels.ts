import { channel, tracingChannel, type Channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { InvalidMessage } from '../connection/handler.ts'
import type { TerminateReason } from '../connection/result.ts'
import { isThenable } from '../foreign-value.ts'

/*
 * Every diagnostics channel of the library, with the type of its messages.
 * docs/observing.md has a row for each, and test/telemetry/channels.test.ts holds the two against
 * each other.
 */

/** The connection that a message is about. */
export interface ConnectionMessage {
  /**
   * The `ws.id` of its callbacks. The part before the dot is the same for all connections of an
   * app.
   */
  readonly id: string
  /** The declared URL of its route: `/rooms/:room`. */
  readonly route: string
  /** The Fastify instance of the route. */
  readonly server: FastifyInstance
}

/** `fastify-websock:upgrade:accepted`: the 101 has been sent. */
export interface UpgradeAcceptedMessage extends ConnectionMessage {
  readonly request: FastifyRequest
}

/** `fastify-websock:upgrade:refused`: an upgrade was answered with a response other than 101. */
export interface UpgradeRefusedMessage {
  /**
   * The declared URL of the route. Empty when the upgrade was refused before a route was found, or
   * when there is none.
   */
  readonly route: string
  readonly request: IncomingMessage
  readonly statusCode: number
  /**
   * The code of the error, such as `FST_WEBSOCK_ORIGIN_REFUSED`. Empty when a hook answered without
   * an error.
   */
  readonly code: string
}

/** `fastify-websock:connection:open`: `init` has returned. */
export type ConnectionOpenMessage = ConnectionMessage

/** The summary of a connection that has ended. */
export interface ConnectionSummary {
  readonly type: TerminateReason['type']
  /** The close code that was sent or received; 1006 without a close frame. */
  readonly code: number
  /** The close reason that was sent or received. The peer chooses a received one. */
  readonly reason: string
  /** For the type `error`: the code of the error, or its name. */
  readonly error: string | undefined
  readonly durationMs: number
  readonly messagesReceived: number
  readonly messagesSent: number
  /**
   * Bytes read from the socket after the upgrade: frames with their headers, in compressed form.
   */
  readonly bytesReceived: number
  readonly bytesSent: number
}

/** `fastify-websock:connection:close`: the socket is closed and `terminate` has settled. */
export interface ConnectionCloseMessage extends ConnectionMessage, ConnectionSummary {}

/** `fastify-websock:message:refused`: a message cannot be decoded, or does not match the schema. */
export interface MessageRefusedMessage extends ConnectionMessage {
  readonly kind: InvalidMessage['kind']
}

/** `fastify-websock:callback:failed`: a failure of a callback was logged. */
export interface CallbackFailedMessage extends ConnectionMessage {
  /** The name of the callback: `handleIn`, `terminate`, or `ws.send`, `ws.run`. */
  readonly callback: string
  readonly error: unknown
}

/** The reasons for which reading of a socket is paused. */
export type ReadHolder = 'mailbox' | 'handler' | 'rateLimit'

/** `fastify-websock:reading:paused` and `fastify-websock:reading:resumed`. */
export interface ReadingMessage extends ConnectionMessage {
  /**
   * The reason that paused reading, or the last reason that went away. `end`: the connection ends.
   */
  readonly by: ReadHolder | 'end'
}

/** `fastify-websock:peer:slow`: more than `maxBufferedBytes` wait for the peer. */
export interface PeerSlowMessage extends ConnectionMessage {
  readonly bufferedBytes: number
  readonly slowPeer: 'close' | 'drop' | 'wait'
}

/** `fastify-websock:engine:up` and `fastify-websock:engine:down`. */
export interface EngineMessage {
  /** The name of the engine, such as `redis`. */
  readonly engine: string
  /** The part before the dot in the ids of this app's connections. */
  readonly node: string
  /** For `down`: the reason, when it is known. */
  readonly reason?: unknown
}

/** `fastify-websock:engine:gap`: topics are subscribed again. Publications may have been missed. */
export interface EngineGapMessage {
  readonly engine: string
  readonly node: string
  readonly topics: number
  /** The minimum length of the gap in ms. */
  readonly ms: number
}

/**
 * `tracing:fastify-websock:callback:start`, `:end`, `:asyncStart`, `:asyncEnd`, `:error`. All
 * events of one call have the same message object.
 */
export interface CallbackMessage extends ConnectionMessage {
  readonly callback: string
  /**
   * The result of the callback. Set from `end` on, or from `asyncStart` on for an async callback.
   */
  result?: unknown
  /** The value that the callback has thrown or rejected with. */
  error?: unknown
}

// Both type parameters are the same: their order differs between versions of @types/node.
function open<Message> (name: string): Channel<Message, Message> {
  return channel(`fastify-websock:${name}`) as Channel<unknown, Message>
}

export const channels = {
  upgradeAccepted: open<UpgradeAcceptedMessage>('upgrade:accepted'),
  upgradeRefused: open<UpgradeRefusedMessage>('upgrade:refused'),
  connectionOpen: open<ConnectionOpenMessage>('connection:open'),
  connectionClose: open<ConnectionCloseMessage>('connection:close'),
  messageRefused: open<MessageRefusedMessage>('message:refused'),
  callbackFailed: open<CallbackFailedMessage>('callback:failed'),
  readingPaused: open<ReadingMessage>('reading:paused'),
  readingResumed: open<ReadingMessage>('reading:resumed'),
  peerSlow: open<PeerSlowMessage>('peer:slow'),
  engineUp: open<EngineMessage>('engine:up'),
  engineDown: open<EngineMessage>('engine:down'),
  engineGap: open<EngineGapMessage>('engine:gap')
} as const

export const callbackChannel =
  tracingChannel<CallbackMessage, CallbackMessage>('fastify-websock:callback')

/**
 * Calls a callback within `callbackChannel`: like Node's `traceSync` when it is synchronous, and
 * like `tracePromise` when it is not. It runs with the stores that are bound to `start`.
 */
export function traceCallback (message: CallbackMessage, call: () => unknown): unknown {
  const { start, end, error } = callbackChannel
  return start.runStores(message, () => {
    try {
      const result = call()
      if (isThenable(result)) return traceSettled(message, result)
      message.result = result
      return result
    } catch (thrown) {
      message.error = thrown
      error.publish(message)
      throw thrown
    } finally {
      end.publish(message)
    }
  })
}

async function traceSettled (
  message: CallbackMessage,
  running: PromiseLike<unknown>
): Promise<unknown> {
  const { asyncStart, asyncEnd, error } = callbackChannel
  try {
    return (message.result = await running)
  } catch (thrown) {
    message.error = thrown
    error.publish(message)
    throw thrown
  } finally {
    asyncStart.publish(message)
    asyncEnd.publish(message)
  }
}
