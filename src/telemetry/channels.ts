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
  /** The `ws.id` of its callbacks. What stands before the dot is the same for all of one app. */
  readonly id: string
  /** The URL of its route as declared: `/rooms/:room`. */
  readonly route: string
  /** The Fastify instance of the route. */
  readonly server: FastifyInstance
}

/** `fastify-websock:upgrade:accepted`: the 101 has been sent. */
export interface UpgradeAcceptedMessage extends ConnectionMessage {
  readonly request: FastifyRequest
}

/** `fastify-websock:upgrade:refused`: an upgrade was answered with something else than a 101. */
export interface UpgradeRefusedMessage {
  /** Empty when it was refused before a route was found, or there is none. */
  readonly route: string
  readonly request: IncomingMessage
  readonly statusCode: number
  /** Of the error: `FST_WEBSOCK_ORIGIN_REFUSED`. Empty when a hook answered without one. */
  readonly code: string
}

/** `fastify-websock:connection:open`: `init` has returned. */
export type ConnectionOpenMessage = ConnectionMessage

/** What one connection came to. */
export interface ConnectionSummary {
  readonly type: TerminateReason['type']
  /** The close code that was sent or came; 1006 without a close frame. */
  readonly code: number
  /** The close reason that was sent or came. Where the peer closed, the peer wrote it. */
  readonly reason: string
  /** For the type `error`: the code of the error, or its name. */
  readonly error: string | undefined
  readonly durationMs: number
  readonly messagesReceived: number
  readonly messagesSent: number
  /** Bytes read from the socket after the upgrade: frames with their headers, as compressed. */
  readonly bytesReceived: number
  readonly bytesSent: number
}

/** `fastify-websock:connection:close`: the socket is closed and `terminate` has ended. */
export interface ConnectionCloseMessage extends ConnectionMessage, ConnectionSummary {}

/** `fastify-websock:message:refused`: a message that cannot be decoded, or does not match. */
export interface MessageRefusedMessage extends ConnectionMessage {
  readonly kind: InvalidMessage['kind']
}

/** `fastify-websock:callback:failed`: what is logged as a failed callback. */
export interface CallbackFailedMessage extends ConnectionMessage {
  /** Its name: `handleIn`, `terminate`, or `ws.send`, `ws.run`. */
  readonly callback: string
  readonly error: unknown
}

/** Who holds a socket from being read. */
export type ReadHolder = 'mailbox' | 'handler' | 'rateLimit'

/** `fastify-websock:reading:paused` and `fastify-websock:reading:resumed`. */
export interface ReadingMessage extends ConnectionMessage {
  /** Who was the first to hold it, and the last to let go of it. At the end: `end`. */
  readonly by: ReadHolder | 'end'
}

/** `fastify-websock:peer:slow`: more than `maxBufferedBytes` wait for the peer. */
export interface PeerSlowMessage extends ConnectionMessage {
  readonly bufferedBytes: number
  readonly slowPeer: 'close' | 'drop' | 'wait'
}

/** `fastify-websock:engine:up` and `fastify-websock:engine:down`. */
export interface EngineMessage {
  /** The name of the engine: `redis`. */
  readonly engine: string
  /** What stands before the dot in the ids of this app's connections. */
  readonly node: string
  /** For `down`: why, when it is known. */
  readonly reason?: unknown
}

/** `fastify-websock:engine:gap`: topics are subscribed again. Publications may have been missed. */
export interface EngineGapMessage {
  readonly engine: string
  readonly node: string
  readonly topics: number
  /** For at least how long. */
  readonly ms: number
}

/**
 * `tracing:fastify-websock:callback:start`, `:end`, `:asyncStart`, `:asyncEnd`, `:error`: one
 * object for all of one call.
 */
export interface CallbackMessage extends ConnectionMessage {
  readonly callback: string
  /** What the callback returned, from `end` on, or from `asyncStart` on when it is asynchronous. */
  result?: unknown
  /** What the callback threw or rejected with. */
  error?: unknown
}

function open<Message> (name: string): Channel<unknown, Message> {
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
  tracingChannel<unknown, CallbackMessage>('fastify-websock:callback')

/**
 * Calls a callback within `callbackChannel`, as Node's `traceSync` does for one that is
 * synchronous and `tracePromise` for one that is not: stores that are bound to `start` hold in it.
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
