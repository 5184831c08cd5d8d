import type { FastifyInstance } from 'fastify'
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
 * One connection of a route: its identity, and what is counted, traced and logged of it.
 * `Connection` extends it, so that this costs no object of its own.
 */
export abstract class RouteConnection implements ObservedConnection {
  readonly group: RouteContext
  readonly options: ConnectionOptions
  /** Whole data messages so far. */
  messagesRead = 0
  // Whole ms: V8 keeps a fraction in an object of its own.
  readonly openedAt = Math.floor(performance.now())
  closeFrame = NO_CLOSE_FRAME

  abstract readonly hasState: boolean
  /** Why it ends, once it does. */
  abstract readonly endReason: TerminateReason | undefined
  abstract readonly messagesSent: number
  abstract readonly bytesSent: number
  abstract readonly bytesRead: number
  /** Letters that wait. */
  abstract readonly waiting: number
  abstract readonly bufferedBytes: number
  abstract readonly logOf: Log
  /** Ends the connection as a stop with this close frame does. */
  abstract close (code: number, reason: string): void

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

  /** Ends the connection at the end of the tick: no handler runs within the call of another one. */
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

  /** Calls a callback, and tells the tracing channel. */
  protected trace (callback: string, call: () => unknown): unknown {
    if (!callbackChannel.hasSubscribers) return call()
    const { id, server, group: { url: route } } = this
    return traceCallback({ id, route, server, callback }, call)
  }

  /** The same, counted and timed. */
  protected measure (callback: Metered, call: () => unknown): unknown {
    return this.traffic.callbacks[callback].measure(() => this.trace(callback, call))
  }

  /** Logs and counts a failure of a callback. */
  report (error: unknown, callback: string): void {
    this.group.telemetry.callbackFailed(callback, error, this)
    writeFailure(this.logOf, error, callback)
  }

  /** Tells the developer of a mistake, once for each route. */
  warn (mistake: Mistake): void { warnOnce(this.group, this.logOf, mistake) }
}
