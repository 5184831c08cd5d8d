import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import {
  FST_WEBSOCK_CALLBACK_TIMEOUT,
  FST_WEBSOCK_RATE_LIMITED,
  FST_WEBSOCK_SLOW_PEER
} from '../errors.ts'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue-owner.ts'
import { SocketTransport, type TransportOwner } from '../transport/socket-transport.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { isThenable } from '../foreign-value.ts'
import { callbackChannel, traceCallback, type ReadHolder } from '../telemetry/channels.ts'
import type { CallbackMeter } from '../telemetry/callback-meter.ts'
import type { ObservedConnection } from '../telemetry/observed.ts'
import type { RouteTelemetry } from '../telemetry/route-telemetry.ts'
import { ConnectionContext } from './context.ts'
import type { ConnectionLimits, RouteContext, Mistake, ConnectionOptions } from './route-context.ts'
import { Ending, type EndingOwner } from './ending.ts'
import type { InitArgs } from './handler.ts'
import type { Awaitable, TerminateReason } from './result.ts'
import type { SystemMessage } from './system-message.ts'
import { Liveness, type Monitored } from './heartbeat.ts'
import {
  CALLBACK_NAMES,
  callbackOf,
  callHandler,
  copyOfSmall,
  createMessage,
  encodeMessages,
  isFromPeer,
  nextCallbackOf,
  passGuard,
  type ConnectionLetter,
  type Tick
} from './letter.ts'
import { childOf, type Log } from '../log.ts'
import { warnOnce, writeFailure, writeStop } from './log.ts'
import { Mailbox, type MailboxOwner } from './mailbox.ts'
import { Membership } from './membership.ts'
import { WaitingSystemMessages, type SystemLetter } from './system-message.ts'
import { Overflow, type OverflowOwner } from './overflow.ts'
import { RateLimiter } from './rate-limit.ts'
import { Ref } from './ref.ts'
import { checkResult, resolveStop, stop, type CloseFrame } from './result.ts'
import { Tasks, type Task, type TasksOwner } from './tasks.ts'
import { Timers, type Timer } from './timers.ts'

const NO_CLOSE_FRAME: CloseFrame = { code: closeCodes.abnormal, reason: '' }

/**
 * One live connection: turns letters into calls of the handler, and their results into frames and
 * a state.
 *
 * A failure of the handler ends this connection and nothing else; nothing here throws or rejects
 * into its caller. Its parts know it as their owner, and it has no closures: there may be a hundred
 * thousand.
 */
export class Connection
implements
    Monitored,
    EndingOwner,
    MailboxOwner<ConnectionLetter>,
    ObservedConnection,
    OverflowOwner,
    TasksOwner,
    TransportOwner {
  readonly options: ConnectionOptions
  readonly liveness = new Liveness()
  /** Whole data messages so far. */
  messagesRead = 0
  // Whole ms: V8 keeps a fraction in an object of its own.
  readonly openedAt = Math.floor(performance.now())
  closeFrame: CloseFrame = NO_CLOSE_FRAME
  readonly #route: RouteContext
  readonly #transport: SocketTransport
  readonly #context: ConnectionContext
  readonly #mailbox: Mailbox<ConnectionLetter>
  readonly #ending: Ending
  readonly #limiter: RateLimiter | undefined
  #timers: Timers | undefined
  #initTimer: NodeJS.Timeout | undefined
  #membership: Membership | undefined
  #overflow: Overflow | undefined
  #tasks: Tasks | undefined
  #state: unknown
  /** The mailbox stands still for the peer (`slowPeer: 'wait'`). */
  #waitsForPeer = false
  #systemMessages: WaitingSystemMessages | undefined

  /**
   * To be called in the tick of the 101, and `start` too: a byte that finds no listener is lost.
   */
  constructor (route: RouteContext, options: ConnectionOptions) {
    this.#route = route
    this.options = options
    const { rateLimit } = route.limits
    this.#limiter =
      rateLimit && new RateLimiter(rateLimit, () => this.#transport.hold('rateLimit', false))
    this.#context = new ConnectionContext(this)
    this.#ending = new Ending(this)
    this.#mailbox = new Mailbox(this)
    this.#transport = new SocketTransport(options.socket, this, options.windowBits)
  }

  /** `init` is letter number one. */
  start (args: InitArgs<unknown, unknown, unknown>): void {
    this.#mailbox.post({ type: 'init', bytes: 0, args })
  }

  get id (): string { return this.options.id }
  get subprotocol (): string | null { return this.options.subprotocol }
  get group (): RouteContext { return this.#route }
  get traffic (): RouteTelemetry { return this.#route.telemetry }
  get limits (): ConnectionLimits { return this.#route.limits }
  get sharing (): WriteSharing { return this.#route.sharing }
  get metered (): boolean { return this.#limiter !== undefined }
  get readingHeld (): boolean { return this.#transport.held }
  get busy (): boolean { return this.#mailbox.busy || this.#tasks?.running === true }
  get ending (): boolean { return this.#ending.begun }
  get signal (): AbortSignal { return this.#ending.signal }
  /** Why it ends, once it does. */
  get endReason (): TerminateReason | undefined { return this.#ending.reason }
  /** What the callbacks have made of it. */
  get state (): unknown { return this.#state }
  /** Letters that wait. */
  get waiting (): number { return this.#mailbox.length }
  get bufferedBytes (): number {
    return this.#transport.queue.bufferedBytes + (this.#membership?.heldBytes ?? 0)
  }

  get server (): FastifyInstance { return this.#route.server }
  get droppedInfos (): number { return this.#overflow?.dropped ?? 0 }
  get droppedMessages (): number { return this.#transport.queue.droppedMessages }
  get hasState (): boolean { return this.#ending.hasState }
  get messagesSent (): number { return this.#transport.queue.messagesSent }
  get bytesSent (): number { return this.#transport.queue.bytesSent }
  get bytesRead (): number { return this.#transport.bytesRead }

  // ── what comes over the transport

  enterRead<Self>(parse: (this: Self, chunk: Buffer) => void, self: Self, chunk: Buffer): void {
    this.#mailbox.enterRead(parse, self, chunk)
  }

  count (frames: number, bytes: number): void {
    const verdict = this.#limiter?.judge(frames, bytes)
    if (verdict === 'wait') this.#transport.hold('rateLimit', true)
    else if (verdict === 'close') {
      this.#endWithError(new FST_WEBSOCK_RATE_LIMITED(), closeCodes.policyViolation)
    }
  }

  receiveText (text: string, bytes: number): void {
    this.#countMessage()
    this.#mailbox.post(createMessage(this.#route, text, bytes))
  }

  receiveBinary (data: Buffer): void {
    this.#countMessage()
    this.#mailbox.post(
      createMessage(this.#route, this.#mailbox.busy ? copyOfSmall(data) : data, data.length)
    )
  }

  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (this.#route.handler.handleControl === undefined) return
    this.#mailbox.post({
      type: 'control',
      bytes: data.length,
      frame: { opcode, data: copyOfSmall(data) }
    })
  }

  #countMessage (): void {
    this.messagesRead++
    this.#route.telemetry.messagesReceived++
  }

  failed (error: Error, code: number): void { this.#endWithError(error, code) }

  /** What the peer sent before is still handled, and then `terminate`. */
  peerEnded (code: number, reason: string): void {
    if (this.#ending.begun) return
    this.#mailbox.retain(isFromPeer)
    this.#release()
    this.#begin({ type: 'remote', code, reason }, this.busy, { code, reason })
  }

  closed (): void {
    this.#route.onSocketClosed(this)
    this.#ending.socketClosed()
  }

  slowPeer (bufferedBytes: number): void {
    this.#endWithError(new FST_WEBSOCK_SLOW_PEER(bufferedBytes), closeCodes.tryAgainLater)
  }

  messageRefused (): void { this.#refuse('messages') }

  peerIsSlow (): void { this.#route.telemetry.peerIsSlow(this) }
  peerHasCaughtUp (): void { this.#route.telemetry.peerHasCaughtUp(this) }
  readingPaused (by: ReadHolder): void { this.#route.telemetry.readerHeld(this, by) }
  readingResumed (by: ReadHolder | 'end'): void {
    this.#route.telemetry.readerReleased(this, by)
  }

  pongsUnread (): void {
    this.#end(
      {
        type: 'error',
        error: new FST_WEBSOCK_SLOW_PEER(this.bufferedBytes),
        code: closeCodes.abnormal
      },
      'destroy'
    )
  }

  // ── what comes from inside

  /** Puts an info into the mailbox; false when it was not taken. */
  offer (info: unknown): boolean { return this.#offer({ type: 'info', info }) }

  #offer (letter: ConnectionLetter): boolean {
    if (this.#ending.begun) return false
    if (this.#mailbox.offer(letter)) return true
    this.#refuse('infos')
    return false
  }

  /**
   * Tells the handler what the library has to tell; false when it cannot be told, or does not want
   * to know.
   */
  notify (message: SystemMessage): boolean {
    if (this.#ending.begun || this.#route.handler[CALLBACK_NAMES[message.type]] === undefined) {
      return false
    }
    this.#systemMessages ??= new WaitingSystemMessages()
    const letter = this.#systemMessages.add(message)
    return letter === undefined || this.#mailbox.offer(letter)
  }

  #takeSystemLetter (letter: SystemLetter): void {
    this.#systemMessages?.delete(letter)
    if (this.#systemMessages?.isEmpty === true) this.#systemMessages = undefined
  }

  get logOf (): Log { return () => this.#context.log }

  #refuse (what: 'infos' | 'messages'): void {
    ;(this.#overflow ??= new Overflow(this)).refuse(what)
  }

  broadcast (message: PreparedMessage, topic: string): void {
    if (this.#membership?.hold(message, topic) !== true) this.#transport.queue.broadcast(message)
  }

  /** Ends the connection at the end of the tick: no handler runs within the call of another one. */
  closeSoon (code: number, reason: string): void {
    this.#route.sharing.loop.atEndOfTick({ endTick: () => this.close(code, reason) })
  }

  // ── what the handler asks for

  /**
   * Sends at once. True: sent or queued. What cannot be sent ends the connection, as a callback's
   * failure does.
   */
  send (messages: unknown): boolean {
    const { queue } = this.#transport
    if (!queue.open) return false
    try {
      return queue.sendAside(encodeMessages(messages, this.#route.encode))
    } catch (error) {
      this.#failAside(error, 'ws.send')
      return false
    }
  }

  drained (): Promise<boolean> { return this.#transport.queue.drained() }

  /** Ends the connection as a stop with this close frame does. */
  close (code: number, reason: string): void {
    try {
      const stopped = resolveStop(stop('normal', [code, reason]))
      this.#end(stopped.reason, stopped.frame)
    } catch (error) {
      this.#failAside(error, 'ws.close')
    }
  }

  /** Starts a task beside the mailbox. `terminate` waits for it. */
  run (task: (signal: AbortSignal) => unknown): Task {
    if (this.#ending.begun) return { cancel () {} }
    this.#tasks ??= new Tasks(this)
    return this.#mailbox.enter(this.#tasks.start, this.#tasks, task)
  }

  taskFailed (error: unknown): void { this.#failAside(error, 'ws.run') }
  tasksEnded (): void { if (!this.#mailbox.busy) this.#endWork() }

  #failAside (error: unknown, by: string): void {
    this.report(error, by)
    this.#endWithError(error, closeCodes.internalError)
  }

  postAfter (info: unknown, ms: number): Timer {
    return this.#openTimers().after(ms, () => this.offer(info))
  }

  postInterval (info: unknown, ms: number): Timer {
    const tick: Tick = { type: 'tick', info, waiting: false }
    return this.#openTimers().every(ms, () => {
      if (!tick.waiting) tick.waiting = this.#offer(tick)
    })
  }

  pause (): void { this.#transport.hold('handler', true) }
  resume (): void { this.#transport.hold('handler', false) }

  get membership (): Membership { return (this.#membership ??= new Membership(this)) }

  createRef (): Ref { return new Ref(this.id, this.#route.topics) }
  createLog (): FastifyBaseLogger {
    return childOf<FastifyBaseLogger>(this.options.log, {
      websocket: this.id,
      route: this.#route.url
    })
  }

  #openTimers (): Timers {
    this.#timers ??= new Timers(this.sharing.loop.clock)
    if (this.#ending.begun) this.#timers.endAll()
    return this.#timers
  }

  // ── what the server does

  /** Tells the developer of a mistake, once for each route. */
  warn (mistake: Mistake): void { warnOnce(this.#route, () => this.#context.log, mistake) }

  ping (): void { this.#transport.queue.ping() }

  timeOut (kind: 'dead' | 'idle'): void {
    this.#route.telemetry.timeouts[kind]++
    this.#end(
      { type: 'timeout' },
      kind === 'dead' ? 'destroy' : { code: closeCodes.normal, reason: 'idle' }
    )
  }

  /** Ends because the server does. */
  shutDown (code: number): void { this.#end({ type: 'shutdown' }, { code, reason: '' }) }
  /** Ends without a close frame, or breaks off waiting for the peer's. */
  destroy (): void { this.#end({ type: 'shutdown' }, 'destroy') }

  // ── the mailbox

  holdReading (full: boolean): void { this.#transport.hold('mailbox', full) }
  mailboxIsLong (isLong: boolean): void {
    this.#route.telemetry.mailboxIsLong(this, isLong)
  }

  deliver (letter: ConnectionLetter): Promise<void> | void {
    if (letter.isSystem === true) this.#takeSystemLetter(letter as SystemLetter)
    const callback = nextCallbackOf(letter)
    const meter = this.#route.telemetry.callbacks[callback]
    let startedAt = meter.started()
    try {
      const result = callbackChannel.hasSubscribers
        ? this.#callTraced(callback, letter)
        : this.#call(letter)
      if (isThenable(result)) return this.#awaitResult(letter, result, meter, startedAt)
      startedAt = meter.ended(startedAt)
      if (this.#apply(letter, result) && passGuard(letter, this.#mailbox.dropped)) {
        return this.deliver(letter)
      }
    } catch (error) {
      meter.ended(startedAt)
      this.#fail(letter, error)
    }
    return this.#afterCallback()
  }

  #call (letter: ConnectionLetter): unknown {
    return callHandler(letter, this.#route, this.#state, this.#context)
  }

  /** Apart from `deliver`: a function with a closure costs memory each time, made or not. */
  #callTraced (callback: string, letter: ConnectionLetter): unknown {
    return this.#trace(callback, () => this.#call(letter))
  }

  #trace (callback: string, call: () => unknown): unknown {
    const { id, server, group: { url: route } } = this
    return traceCallback({ id, route, server, callback }, call)
  }

  async #awaitResult (
    letter: ConnectionLetter,
    running: PromiseLike<unknown>,
    meter: CallbackMeter,
    startedAt: number
  ): Promise<void> {
    if (letter.type === 'init') this.#limitInit()
    let passes = false
    let timed = startedAt
    try {
      const result = await running
      timed = meter.ended(timed)
      passes = this.#apply(letter, result) && passGuard(letter, this.#mailbox.dropped)
    } catch (error) {
      meter.ended(timed)
      this.#fail(letter, error)
    }
    clearTimeout(this.#initTimer)
    await (passes ? this.deliver(letter) : this.#afterCallback())
  }

  #limitInit (): void {
    const { initTimeoutMs } = this.limits
    const error = (): Error => new FST_WEBSOCK_CALLBACK_TIMEOUT('init', initTimeoutMs)
    this.#initTimer = setTimeout(() => this.#failAside(error(), 'init'), initTimeoutMs)
  }

  /**
   * The only reader of results. Throws before anything is sent or kept when any part of one is
   * impossible. True for a result that sends nothing and ends nothing.
   */
  #apply (letter: ConnectionLetter, value: unknown): boolean {
    const result = checkResult(value)
    this.#context.callbackEnded(result)
    const stopped = result?.type === 'stop' ? resolveStop(result) : undefined
    const { queue } = this.#transport
    const messages = result === undefined || result.type === 'ok' ? undefined : result.messages
    const sends =
      queue.open && result !== undefined && (result.type === 'push' || messages !== undefined)
    const frames = sends ? encodeMessages(messages, this.#route.encode) : undefined
    if (result?.state !== undefined) this.#state = result.state
    if (letter.type === 'init') this.#initReturned()
    if (Array.isArray(frames)) for (const frame of frames) queue.send(frame)
    else if (frames !== undefined) queue.send(frames)
    this.#membership?.sendHeld(queue)
    if (stopped === undefined) return result === undefined || result.type === 'ok'
    const first = !this.#ending.begun
    this.#end(stopped.reason, stopped.frame)
    if (first && stopped.reason.type === 'error') {
      writeStop(() => this.#context.log, stopped.reason.error, stopped.frame.code)
    }
    return false
  }

  #initReturned (): void {
    this.#ending.initReturned()
    if (!this.#ending.begun) this.#route.telemetry.connectionOpened(this)
  }

  #fail (letter: ConnectionLetter, error: unknown): void {
    this.#context.callbackFailed()
    this.#failAside(error, callbackOf(letter))
  }

  #afterCallback (): Promise<void> | void {
    if (this.#transport.queue.overHighWaterMark) return this.#waitForPeer()
    this.#endWork()
  }

  /** `terminate` may run when nothing else of this connection does. */
  #endWork (): void {
    if (this.#ending.begun && this.#tasks?.running !== true && this.#mailbox.length === 0) {
      this.#ending.workEnded()
    }
  }

  async #waitForPeer (): Promise<void> {
    this.#waitsForPeer = true
    await this.#transport.queue.drained()
    this.#waitsForPeer = false
    await this.#afterCallback()
  }

  report (error: unknown, callback: string): void {
    this.#route.telemetry.callbackFailed(callback, error, this)
    writeFailure(() => this.#context.log, error, callback)
  }

  // ── the end

  /** A callback runs, and not just the wait for the peer. */
  get callbackRuns (): boolean { return this.#mailbox.busy && !this.#waitsForPeer }

  get running (): string | undefined {
    return this.callbackRuns
      ? 'the running callback'
      : this.#tasks?.running === true
        ? 'a task of ws.run'
        : undefined
  }

  dropLetters (): void { this.#mailbox.close() }

  terminate (reason: TerminateReason): Awaitable<void> {
    // After the peer's FIN there was still something to send.
    if (reason.type === 'remote') this.#transport.endWriting()
    return this.#mailbox.enter(this.#callTerminate, this, reason)
  }

  #callTerminate (reason: TerminateReason): Awaitable<void> {
    const { handler, telemetry } = this.#route
    if (handler.terminate === undefined) return
    const call = (): Awaitable<void> => handler.terminate?.(reason, this.#state, this.#context)
    return telemetry.callbacks.terminate.measure(() => callbackChannel.hasSubscribers
      ? this.#trace('terminate', call) as Awaitable<void>
      : call())
  }

  ended (): void {
    this.#route.telemetry.connectionGone(this)
    this.#route.onGone(this)
  }

  #endWithError (error: unknown, code: number): void {
    this.#end({ type: 'error', error, code }, { code, reason: '' })
  }

  /**
   * The one way in which this side ends the connection. The first reason wins; letters that wait
   * are dropped; the close frame goes out at once.
   */
  #end (reason: TerminateReason, close: CloseFrame | 'destroy'): void {
    const first = !this.#ending.begun
    const { busy } = this
    this.#mailbox.close()
    if (first) this.#release()
    if (close === 'destroy') this.#transport.destroy()
    else this.#transport.close(close.code, close.reason)
    if (first) this.#begin(reason, busy, close === 'destroy' ? NO_CLOSE_FRAME : close)
  }

  /** In the async context of the connection: listeners of the signal are called. */
  #begin (reason: TerminateReason, busy: boolean, closeFrame: CloseFrame): void {
    this.closeFrame = closeFrame
    this.#route.telemetry.connectionEnds(this)
    this.#mailbox.enter(() => this.#ending.begin(reason, busy), this, undefined)
  }

  /** Lets go of all that a connection has while it is open. */
  #release (): void {
    this.#timers?.endAll()
    this.#limiter?.stop()
    this.#membership?.dropHeld()
    this.#tasks?.cancelAll()
    this.#route.topics.unsubscribeAll(this)
    this.#transport.release()
  }
}
