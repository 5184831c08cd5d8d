import { FST_WEBSOCK_RATE_LIMITED, FST_WEBSOCK_SLOW_PEER } from '../errors.ts'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import { SocketTransport, type TransportOwner } from '../transport/socket-transport.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { isThenable } from '../foreign-value.ts'
import type { CallbackMeter } from '../telemetry/callback-meter.ts'
import { callbackChannel } from '../telemetry/channels.ts'
import { ConnectionContext } from './context.ts'
import type { ConnectionOptions, RouteContext } from './route-context.ts'
import { Ending, type EndingOwner } from './ending.ts'
import type { InitArgs } from './handler.ts'
import { Liveness, type Monitored } from './heartbeat.ts'
import {
  CALLBACK_NAMES, callbackOf, callHandler, copyOfSmall, createMessage, encodeMessages, encodeResult,
  isDrain, isFromPeer, nextCallbackOf, nextMeterOf, passGuard, type ConnectionLetter
} from './letter.ts'
import type { Log } from '../log.ts'
import { writeStop } from './log.ts'
import { Mailbox, type MailboxOwner } from './mailbox.ts'
import { Membership } from './membership.ts'
import { Overflow, type OverflowOwner } from './overflow.ts'
import { RateLimiter } from './rate-limit.ts'
import {
  checkResult, resolveStop, stop, type Awaitable, type CloseFrame, type TerminateReason
} from './result.ts'
import { NO_CLOSE_FRAME, RouteConnection } from './route-connection.ts'
import { WaitingSystemMessages, type SystemLetter, type SystemMessage } from './system-message.ts'
import { Tasks, type Task, type TasksOwner } from './tasks.ts'
import { Timers, type TimersOwner } from './timers.ts'

/**
 * One connection: turns letters into calls of the handler, and their results into frames and a new
 * state.
 *
 * A failure of the handler ends only this connection. No method throws or rejects. It has no
 * closures, to save memory; its parts refer to it as their owner.
 */
export class Connection extends RouteConnection
  implements Monitored, EndingOwner, MailboxOwner<ConnectionLetter>, OverflowOwner, TasksOwner,
  TimersOwner, TransportOwner {
  readonly liveness = new Liveness()
  readonly #transport: SocketTransport
  readonly #context: ConnectionContext
  readonly #mailbox: Mailbox<ConnectionLetter>
  readonly #ending: Ending
  readonly #limiter: RateLimiter | undefined
  #timers: Timers | undefined
  #membership: Membership | undefined
  #overflow: Overflow | undefined
  #tasks: Tasks | undefined
  #state: unknown
  /** The mailbox waits for the peer (`slowPeer: 'wait'`). */
  #waitsForPeer = false
  #systemMessages: WaitingSystemMessages | undefined

  /** Call it, and `start`, in the tick of the 101, so that no byte is lost. */
  constructor (route: RouteContext, options: ConnectionOptions) {
    super(route, options)
    const { rateLimit } = route.limits
    this.#limiter =
      rateLimit && new RateLimiter(rateLimit, () => this.#transport.hold('rateLimit', false))
    this.#context = new ConnectionContext(this)
    this.#ending = new Ending(this)
    this.#mailbox = new Mailbox(this)
    this.#transport = new SocketTransport(options.socket, this, options.deflate)
  }

  /** Posts the first letter: `init`. */
  start (args: InitArgs<unknown, unknown, unknown>): void {
    this.#mailbox.enter(this.#mailbox.post, this.#mailbox, { type: 'init', bytes: 0, args })
  }

  get metered (): boolean { return this.#limiter !== undefined }
  get readingHeld (): boolean { return this.#transport.held }
  get busy (): boolean { return this.#mailbox.busy || this.#tasks?.running === true }
  get ending (): boolean { return this.#ending.begun }
  get signal (): AbortSignal { return this.#ending.signal }
  get endReason (): TerminateReason | undefined { return this.#ending.reason }
  get state (): unknown { return this.#state }
  get waiting (): number { return this.#mailbox.length }
  get bufferedBytes (): number {
    return this.#transport.queue.bufferedBytes + (this.#membership?.heldBytes ?? 0)
  }

  get logOf (): Log { return () => this.#context.log }
  get droppedInfos (): number { return this.#overflow?.dropped ?? 0 }
  get droppedMessages (): number { return this.#transport.queue.droppedMessages }
  get hasState (): boolean { return this.#ending.hasState }
  get messagesSent (): number { return this.#transport.queue.messagesSent }
  get bytesSent (): number { return this.#transport.queue.bytesSent }
  get bytesRead (): number { return this.#transport.bytesRead }

  // ── called by the transport

  enterRead<S>(parse: (this: S, chunk: Buffer) => void, transport: S, chunk: Buffer): void {
    this.#mailbox.enter(parse, transport, chunk)
  }

  count (frames: number, bytes: number): void {
    const verdict = this.#limiter?.judge(frames, bytes)
    if (verdict === 'close') this.failed(new FST_WEBSOCK_RATE_LIMITED(), closeCodes.policyViolation)
    else if (verdict === 'wait') this.#transport.hold('rateLimit', true)
  }

  receiveText (text: string, bytes: number): void {
    this.countMessage()
    this.#mailbox.post(createMessage(this.group, text, bytes))
  }

  receiveBinary (data: Buffer): void {
    this.countMessage()
    const kept = this.#mailbox.busy ? copyOfSmall(data) : data
    this.#mailbox.post(createMessage(this.group, kept, data.length))
  }

  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (this.group.handler.handleControl === undefined) return
    const frame = { opcode, data: copyOfSmall(data) }
    this.#mailbox.post({ type: 'control', bytes: data.length, frame })
  }

  /** Messages that the peer sent before are still handled; then `terminate` is called. */
  peerEnded (code: number, reason: string): void {
    if (this.#ending.begun) return
    this.#mailbox.retain(isFromPeer)
    this.#release()
    this.#begin({ type: 'remote', code, reason }, this.busy, { code, reason })
  }

  closed (): void {
    this.group.onSocketClosed(this.options)
    this.#ending.socketClosed()
  }

  messageRefused (): void { this.#openOverflow.refuse('messages') }

  pongsUnread (): void {
    const error = new FST_WEBSOCK_SLOW_PEER(this.bufferedBytes)
    this.#end({ type: 'error', error, code: closeCodes.abnormal }, 'destroy')
  }

  // ── infos, system messages and broadcasts

  /** Puts an info into the mailbox. False when it was refused. */
  offer (info: unknown): boolean { return this.offerLetter({ type: 'info', info }) }
  offerLetter (letter: ConnectionLetter): boolean {
    if (this.#mailbox.closed) return false
    if (this.#mailbox.offer(letter)) return true
    this.#openOverflow.refuse('infos')
    return false
  }

  /** Puts a system message into the mailbox. False when no callback will receive it. */
  notify (message: SystemMessage): boolean {
    const callback = this.group.handler[CALLBACK_NAMES[message.type]]
    if (this.#mailbox.closed || callback === undefined) return false
    this.#systemMessages ??= new WaitingSystemMessages()
    const letter = this.#systemMessages.add(message)
    return letter === undefined || this.#mailbox.offer(letter)
  }

  get #openOverflow (): Overflow { return (this.#overflow ??= new Overflow(this)) }
  broadcast (message: PreparedMessage, topic: string): void {
    if (this.#membership?.hold(message, topic) !== true) this.#transport.queue.broadcast(message)
  }

  // ── called by the handler through `ws`

  /** True: sent or queued. An unsendable message ends the connection like a failed callback. */
  send (messages: unknown): boolean {
    const { queue } = this.#transport
    if (!queue.open) return false
    try {
      return queue.sendAside(encodeMessages(messages, this.group.encode))
    } catch (error) {
      this.failAside(error, 'ws.send')
      return false
    }
  }

  drained (): Promise<boolean> { return this.#transport.queue.drained() }

  /** Ends the connection like `ws.stop('normal', [code, reason])`. */
  close (code: number, reason: string): void {
    try {
      const stopped = resolveStop(stop('normal', [code, reason]))
      this.#end(stopped.reason, stopped.frame)
    } catch (error) {
      this.failAside(error, 'ws.close')
    }
  }

  /** Starts a task that runs beside the callbacks. `terminate` waits for it. */
  run (task: (signal: AbortSignal) => unknown): Task {
    if (this.#ending.begun) return { cancel () {} }
    this.#tasks ??= new Tasks(this)
    return this.#mailbox.enter(this.#tasks.start, this.#tasks, task)
  }

  tasksEnded (): void { if (!this.#mailbox.busy) this.#endWork() }

  pause (): void { this.#transport.hold('handler', true) }
  resume (): void { this.#transport.hold('handler', false) }

  get membership (): Membership { return (this.#membership ??= new Membership(this)) }
  get timers (): Timers { return (this.#timers ??= new Timers(this)) }

  // ── called by the server

  ping (): void { this.#transport.queue.ping() }

  timeOut (kind: 'dead' | 'idle'): void {
    this.traffic.timeouts[kind]++
    const idle = { code: closeCodes.normal, reason: 'idle' }
    this.#end({ type: 'timeout' }, kind === 'dead' ? 'destroy' : idle)
  }

  /**
   * Ends the connection because the server closes. The running callback and a waiting `handleDrain`
   * finish first, within `terminateTimeoutMs`, and their messages are sent.
   */
  shutDown (code: number): void {
    const frame = { code, reason: '' }
    if (this.#ending.begun || !this.callbackRuns) return this.#end({ type: 'shutdown' }, frame)
    if (this.#mailbox.closed) return
    this.closeFrame = frame
    this.#mailbox.retain(isDrain)
    this.#ending.delay()
  }

  shutDownNow (closeFrame = this.closeFrame): void { this.#end({ type: 'shutdown' }, closeFrame) }
  /** Ends the connection without a close frame, or stops waiting for the peer's. */
  destroy (): void { this.#end({ type: 'shutdown' }, 'destroy') }

  // ── called by the mailbox

  holdReading (full: boolean): void { this.#transport.hold('mailbox', full) }

  deliver (letter: ConnectionLetter): boolean {
    const meter = nextMeterOf(letter, this.traffic.callbacks)
    let startedAt = meter.started()
    try {
      const result = this.#call(letter)
      if (isThenable(result)) {
        void this.#awaitResult(letter, result, meter, startedAt)
        return false
      }
      startedAt = meter.ended(startedAt)
      if (this.#apply(letter, result)) return this.deliver(letter)
    } catch (error) {
      meter.ended(startedAt)
      this.#fail(letter, error)
    }
    return this.#afterCallback()
  }

  #call (letter: ConnectionLetter): unknown {
    if (letter.isSystem === true && this.#systemMessages?.delete(letter as SystemLetter) === true) {
      this.#systemMessages = undefined
    }
    if (callbackChannel.hasSubscribers) return this.#callTraced(letter)
    return callHandler(letter, this.group, this.#state, this.#context)
  }

  /** Separate from `#call`: a closure there would cost memory in each call, created or not. */
  #callTraced (letter: ConnectionLetter): unknown {
    return this.trace(nextCallbackOf(letter), () =>
      callHandler(letter, this.group, this.#state, this.#context))
  }

  async #awaitResult (
    letter: ConnectionLetter, running: PromiseLike<unknown>, meter: CallbackMeter, startedAt: number
  ): Promise<void> {
    if (letter.type === 'init') this.#ending.awaitInit()
    let passes = false
    try {
      const result = await running
      startedAt = meter.ended(startedAt)
      passes = this.#apply(letter, result)
    } catch (error) {
      meter.ended(startedAt)
      this.#fail(letter, error)
    }
    if (letter.type === 'init') this.#ending.initSettled()
    if (passes ? this.deliver(letter) : this.#afterCallback()) this.#mailbox.next()
  }

  /**
   * Applies the result of a callback. No other method reads results. Throws before anything is sent
   * or kept when any part is invalid. True: the guard of this message has let it pass.
   */
  #apply (letter: ConnectionLetter, value: unknown): boolean {
    const result = checkResult(value)
    this.#context.callbackEnded(result)
    const stopped = result?.type === 'stop' ? resolveStop(result) : undefined
    const { queue } = this.#transport
    const frames =
      result !== undefined && queue.open ? encodeResult(result, this.group.encode) : undefined
    if (result?.state !== undefined) this.#state = result.state
    if (letter.type === 'init') this.#ending.initReturned()
    if (Array.isArray(frames)) for (const frame of frames) queue.send(frame)
    else if (frames !== undefined) queue.send(frames)
    this.#membership?.sendHeld(queue)
    if (stopped !== undefined) this.#stop(stopped)
    return letter.type === 'guarded' && passGuard(letter, result, this.#mailbox.dropped)
  }

  #stop ({ reason, frame }: ReturnType<typeof resolveStop>): void {
    const first = !this.#ending.begun
    this.#end(reason, frame)
    if (first && reason.type === 'error') writeStop(this.logOf, reason.error, frame.code)
  }

  #fail (letter: ConnectionLetter, error: unknown): void {
    this.#context.callbackFailed()
    this.failAside(error, callbackOf(letter))
  }

  /** Returns false when the next letter has to wait for the peer. */
  #afterCallback (): boolean {
    const mustWait = this.#transport.queue.overHighWaterMark
    if (mustWait) void this.#waitForPeer()
    else this.#endWork()
    return !mustWait
  }

  /** Lets `terminate` run when no callback, task or letter of this connection is left. */
  #endWork (): void {
    if (this.#mailbox.length > 0) return
    if (this.#mailbox.closed && !this.#ending.begun) this.shutDownNow()
    if (this.#ending.begun && this.#tasks?.running !== true) this.#ending.workEnded()
  }

  async #waitForPeer (): Promise<void> {
    this.#waitsForPeer = true
    await this.#transport.queue.drained()
    this.#waitsForPeer = false
    if (this.#afterCallback()) this.#mailbox.next()
  }

  // ── the end

  /** True while a callback runs, but not while the mailbox only waits for the peer. */
  get callbackRuns (): boolean { return this.#mailbox.busy && !this.#waitsForPeer }

  get running (): string | undefined {
    if (this.callbackRuns) return 'the running callback'
    return this.#tasks?.running === true ? 'a task of ws.run' : undefined
  }

  dropLetters (): void { this.#mailbox.close() }

  terminate (reason: TerminateReason): Awaitable<void> {
    // Until now answers to the peer could still be sent after its FIN.
    if (reason.type === 'remote') this.#transport.endWriting()
    return this.#mailbox.enter(this.#callTerminate, this, reason)
  }

  #callTerminate (reason: TerminateReason): Awaitable<void> {
    const { handler } = this.group
    const call = (): unknown => handler.terminate?.(reason, this.#state, this.#context)
    if (handler.terminate !== undefined) return this.measure('terminate', call) as Awaitable<void>
  }

  ended (): void {
    this.traffic.connectionGone(this)
    this.group.onGone(this.options)
  }

  failed (error: unknown, code: number): void {
    this.#end({ type: 'error', error, code }, { code, reason: '' })
  }

  /** Ends the connection from this side. Drops waiting letters; the first reason counts. */
  #end (reason: TerminateReason, close: CloseFrame | 'destroy'): void {
    const first = !this.#ending.begun
    const { busy } = this
    this.#mailbox.close()
    if (first) this.#release()
    if (close === 'destroy') this.#transport.destroy()
    else this.#transport.close(close.code, close.reason)
    if (first) this.#begin(reason, busy, close === 'destroy' ? NO_CLOSE_FRAME : close)
  }

  /** Runs in the async context of the connection, because listeners of the signal are called. */
  #begin (reason: TerminateReason, busy: boolean, closeFrame: CloseFrame): void {
    this.closeFrame = closeFrame
    this.#mailbox.enter(() => this.#ending.begin(reason, busy), this, undefined)
  }

  /** Releases everything that a connection holds only while it is open. */
  #release (): void {
    this.#timers?.endAll()
    this.#limiter?.stop()
    this.#membership?.dropHeld()
    this.#tasks?.cancelAll()
    this.group.topics.unsubscribeAll(this)
    this.#transport.release()
  }
}
