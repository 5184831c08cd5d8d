import type { FastifyRequest } from 'fastify'
import type { InvalidMessage } from '../connection/handler.ts'
import type { TerminateReason } from '../connection/result.ts'
import { FST_WEBSOCK_CALLBACK_TIMEOUT } from '../errors.ts'
import { textOf } from '../foreign-value.ts'
import { BoundedCounts } from './bounded-counts.ts'
import { CallbackMeter } from './callback-meter.ts'
import {
  channels,
  type ConnectionMessage,
  type ConnectionSummary,
  type ReadHolder
} from './channels.ts'
import { logEnd, logOpening } from './connection-log.ts'
import type { ObservedConnection } from './observed.ts'
import type { WatchLists } from './watch-lists.ts'

type ConnectionIdentity = Pick<ObservedConnection, 'id' | 'server'>

/**
 * Counts the connections of one route and their traffic, and publishes to the diagnostics channels.
 * Routes with the same URL share one object.
 */
export class RouteTelemetry {
  readonly url: string
  /** Numbers of connections whose `init` runs, open connections, and connections that end. */
  opening = 0
  open = 0
  closing = 0
  accepted = 0
  /** Total duration of the connections that have ended. */
  connectionMs = 0
  readonly refused = new BoundedCounts()
  /** Numbers of ended connections, by the type of the reason and the close code. */
  readonly closes = new Map<TerminateReason['type'], BoundedCounts>()
  /** Numbers of complete data messages, and of bytes of the sockets. */
  messagesReceived = 0
  messagesSent = 0
  bytesReceived = 0
  bytesSent = 0
  readonly invalid: Record<InvalidMessage['kind'], number> = {
    opcode: 0,
    undecodable: 0,
    mismatch: 0
  }

  messagesDropped = 0
  infosDropped = 0
  readonly timeouts = { dead: 0, idle: 0, callback: 0, close: 0 }
  readingPaused = 0
  slowPeers = 0
  readonly callbacks = createMeters()
  readonly #lists: WatchLists

  constructor (url: string, lists: WatchLists) {
    this.url = url
    this.#lists = lists
  }

  /** Called when the 101 has been sent. */
  connectionAccepted (connection: ObservedConnection, request: FastifyRequest): void {
    this.accepted++
    this.opening++
    if (channels.upgradeAccepted.hasSubscribers) {
      channels.upgradeAccepted.publish({ ...this.#of(connection), request })
    }
    logOpening(connection)
  }

  /** Called when `init` has returned, and the connection has not begun to end. */
  connectionOpened (connection: ObservedConnection): void {
    this.opening--
    this.open++
    if (channels.connectionOpen.hasSubscribers) {
      channels.connectionOpen.publish(this.#of(connection))
    }
  }

  /** Called once for each connection, when it begins to end. */
  connectionEnds ({ hasState }: ObservedConnection): void {
    if (hasState) this.open--
    else this.opening--
    this.closing++
  }

  /** Called once for each connection, when its socket is closed and `terminate` has settled. */
  connectionGone (connection: ObservedConnection): void {
    const summary = summarize(connection)
    const { type, code, durationMs } = summary
    this.closing--
    this.connectionMs += durationMs
    let codes = this.closes.get(type)
    if (codes === undefined) this.closes.set(type, (codes = new BoundedCounts()))
    codes.add(String(code))
    if (channels.connectionClose.hasSubscribers) {
      channels.connectionClose.publish({ ...this.#of(connection), ...summary })
    }
    logEnd(connection, summary)
  }

  messageRefused (kind: InvalidMessage['kind'], connection: ConnectionIdentity): void {
    this.invalid[kind]++
    if (channels.messageRefused.hasSubscribers) {
      const { id, server } = connection
      channels.messageRefused.publish({ id, route: this.url, server, kind })
    }
  }

  /** Called when a failure of a callback is logged. */
  callbackFailed (callback: string, error: unknown, connection: ConnectionIdentity): void {
    if (isTimeout(error)) this.timeouts.callback++
    else if (isMetered(callback)) this.callbacks[callback].failures++
    if (channels.callbackFailed.hasSubscribers) {
      const { id, server } = connection
      channels.callbackFailed.publish({ id, route: this.url, server, callback, error })
    }
  }

  readerHeld (connection: ObservedConnection, by: ReadHolder): void {
    this.readingPaused++
    this.#lists.held.add(connection)
    if (channels.readingPaused.hasSubscribers) {
      channels.readingPaused.publish({ ...this.#of(connection), by })
    }
  }

  readerReleased (connection: ObservedConnection, by: ReadHolder | 'end'): void {
    this.#lists.held.delete(connection)
    if (channels.readingResumed.hasSubscribers) {
      channels.readingResumed.publish({ ...this.#of(connection), by })
    }
  }

  peerIsSlow (connection: ObservedConnection): void {
    this.slowPeers++
    this.#lists.slow.add(connection)
    if (!channels.peerSlow.hasSubscribers) return
    const { bufferedBytes, limits: { slowPeer } } = connection
    const message = { ...this.#of(connection), bufferedBytes, slowPeer }
    // Not published synchronously: no code of the application may run while a broadcast is sent.
    queueMicrotask(() => channels.peerSlow.publish(message))
  }

  peerHasCaughtUp (connection: ObservedConnection): void { this.#lists.slow.delete(connection) }

  mailboxIsLong (connection: ObservedConnection, isLong: boolean): void {
    if (isLong) this.#lists.long.add(connection)
    else this.#lists.long.delete(connection)
  }

  #of ({ id, server }: ConnectionIdentity): ConnectionMessage {
    return { id, route: this.url, server }
  }
}

/** The names under which calls are counted and failures are logged. */
const METERED = [
  'init',
  'guard',
  'handleIn',
  'handleControl',
  'handleInfo',
  'handleDrain',
  'handleGap',
  'handlePresence',
  'terminate',
  'ws.send',
  'ws.close',
  'ws.run'
] as const

export type Metered = (typeof METERED)[number]

function isMetered (callback: string): callback is Metered {
  return METERED.some((known) => known === callback)
}

function createMeters (): Readonly<Record<Metered, CallbackMeter>> {
  return Object.fromEntries(METERED.map((name) => [name, new CallbackMeter()])) as
    Record<Metered, CallbackMeter>
}

/** False for a proxy whose `getPrototypeOf` trap throws. */
function isTimeout (error: unknown): boolean {
  try {
    return error instanceof FST_WEBSOCK_CALLBACK_TIMEOUT
  } catch {
    return false
  }
}

function summarize (connection: ObservedConnection): ConnectionSummary {
  const { endReason: reason, closeFrame, openedAt } = connection
  return {
    type: reason?.type ?? 'error',
    code: closeFrame.code,
    reason: closeFrame.reason,
    error: reason?.type === 'error' ? nameOf(reason.error) : undefined,
    durationMs: Math.round(performance.now() - openedAt),
    messagesReceived: connection.messagesRead,
    messagesSent: connection.messagesSent,
    bytesReceived: connection.bytesRead,
    bytesSent: connection.bytesSent
  }
}

/** The `code` of an error, or its name. */
function nameOf (thrown: unknown): string {
  return textOf(() => {
    if (typeof thrown !== 'object' || thrown === null) return typeof thrown
    const { code, name } = thrown as { code?: unknown, name?: unknown }
    return String(typeof code === 'string' ? code : name).slice(0, 100)
  })
}
