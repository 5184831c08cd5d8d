import type { FastifyInstance } from 'fastify'
import { FST_WEBSOCK_SLOW_PEER } from '../errors.ts'
import type { Log } from '../log.ts'
import { callbackChannel, traceCallback, type ReadHolder } from '../telemetry/channels.ts'
import type { ObservedConnection } from '../telemetry/observed.ts'
import type { Metered, RouteTelemetry } from '../telemetry/route-telemetry.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { warnOnce, writeFailure } from './log.ts'
import { Ref } from './ref.ts'
import type { CloseFrame, TerminateReason } from './result.ts'
import type { ConnectionLimits, ConnectionOptions, Mistake, RouteContext } from './route-context.ts'

export const NO_CLOSE_FRAME: CloseFrame = { code: closeCodes.abnormal, reason: '' }

/**
 * The base class of `Connection`: its identity, its counters, and its tracing and logging. A base
 * class, because a separate object would cost memory for each connection.
 */
export abstract class RouteConnection implements ObservedConnection {
  readonly group: RouteContext
  readonly options: ConnectionOptions
  /** Complete data messages received so far. */
  messagesRead = 0
  // Whole ms: V8 stores a fraction in an object of its own.
  readonly openedAt = Math.floor(performance.now())
  closeFrame = NO_CLOSE_FRAME

  abstract readonly hasState: boolean
  /** Why the connection ends. Undefined before its end. */
  abstract readonly endReason: TerminateReason | undefined
  abstract readonly messagesSent: number
  abstract readonly bytesSent: number
  abstract readonly bytesRead: number
  /** Number of waiting letters. */
  abstract readonly waiting: number
  abstract readonly bufferedBytes: number
  abstract readonly logOf: Log
  /** Ends the connection with this close frame. */
  abstract close (code: number, reason: string): void
  /** Ends the connection with an error. */
  abstract failed (error: unknown, code: number): void

  constructor (route: RouteContext, options: ConnectionOptions) {
    this.group = route
    this.options = options
  }

  get id (): string { return this.options.id }
  get subprotocol (): string | null { return this.options.subprotocol }
  get limits (): ConnectionLimits { return this.group.limits }
  get sharing (): WriteSharing { return this.group.sharing }
  get server (): FastifyInstance { return this.group.server }
  get traffic (): RouteTelemetry { return this.group.telemetry }
  createRef (): Ref { return new Ref(this.id, this.group.topics) }

  /** Ends the connection at the end of the tick, so that no handler runs within the caller. */
  closeSoon (code: number, reason: string): void {
    this.sharing.loop.atEndOfTick({ endTick: () => this.close(code, reason) })
  }

  protected countMessage (): void {
    this.messagesRead++
    this.group.telemetry.messagesReceived++
  }

  opened (): void { this.group.telemetry.connectionOpened(this) }
  ends (): void { this.group.telemetry.connectionEnds(this) }
  peerIsSlow (): void { this.group.telemetry.peerIsSlow(this) }
  peerHasCaughtUp (): void { this.group.telemetry.peerHasCaughtUp(this) }
  readingPaused (by: ReadHolder): void { this.group.telemetry.readerHeld(this, by) }
  readingResumed (by: ReadHolder | 'end'): void { this.group.telemetry.readerReleased(this, by) }
  mailboxIsLong (isLong: boolean): void { this.group.telemetry.mailboxIsLong(this, isLong) }

  /** Calls a callback, and publishes to the tracing channel. */
  protected trace (callback: string, call: () => unknown): unknown {
    if (!callbackChannel.hasSubscribers) return call()
    const { id, server, group: { url: route } } = this
    return traceCallback({ id, route, server, callback }, call)
  }

  /** Calls a callback with tracing, counts it and measures its time. */
  protected measure (callback: Metered, call: () => unknown): unknown {
    return this.traffic.callbacks[callback].measure(() => this.trace(callback, call))
  }

  /** Logs and counts a failure of a callback. */
  report (error: unknown, callback: string): void {
    this.group.telemetry.callbackFailed(callback, error, this)
    writeFailure(this.logOf, error, callback)
  }

  slowPeer (bufferedBytes: number): void {
    this.failed(new FST_WEBSOCK_SLOW_PEER(bufferedBytes), closeCodes.tryAgainLater)
  }

  taskFailed (error: unknown): void { this.failAside(error, 'ws.run') }
  /** Ends the connection like a callback that failed. */
  protected failAside (error: unknown, by: string): void {
    this.report(error, by)
    this.failed(error, closeCodes.internalError)
  }

  /** Logs a mistake in the handler, once for each route. */
  warn (mistake: Mistake): void { warnOnce(this.group, this.logOf, mistake) }
}
