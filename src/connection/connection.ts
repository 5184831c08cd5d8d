import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { FST_WEBSOCK_CALLBACK_TIMEOUT, FST_WEBSOCK_MAILBOX_FULL, FST_WEBSOCK_RATE_LIMITED, FST_WEBSOCK_SLOW_PEER } from '../errors.ts'
import type { TickTask } from '../event-loop.ts'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import type { WriteSharing } from '../transport/send-queue.ts'
import { SocketTransport, type TransportOwner } from '../transport/socket-transport.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import { isThenable } from '../foreign-value.ts'
import { ConnectionContext } from './context.ts'
import type { ConnectionLimits, Endpoint, Mistake, Peer } from './endpoint.ts'
import { Ending, type EndingOwner } from './ending.ts'
import type { Awaitable, InitArgs, News, TerminateReason } from './handler.ts'
import { Pulse, type Beating } from './heartbeat.ts'
import { HeldBroadcasts } from './held-broadcasts.ts'
import {
  CALLBACK_NAMES, callbackOf, callHandler, createMessage, isFromPeer, passGuard, type ConnectionLetter, type Tick
} from './letter.ts'
import { childOf, writeLog } from '../log.ts'
import { warnOnce, writeFailure, writeStop } from './log.ts'
import { Mailbox, type MailboxOwner } from './mailbox.ts'
import { RateLimiter } from './rate-limit.ts'
import { Ref } from './ref.ts'
import { checkResult, resolveStop, stop, type CloseFrame } from './result.ts'
import { Timers, type Timer } from './timers.ts'

/**
 * One live connection: turns letters into calls of the handler, and their results into frames and
 * a state.
 *
 * A failure of the handler ends this connection and nothing else; nothing here throws or rejects
 * into its caller. Its parts know it as their owner, and it has no closures: there may be a hundred
 * thousand.
 */
export class Connection implements Beating, EndingOwner, MailboxOwner<ConnectionLetter>, TickTask, TransportOwner {
  readonly peer: Peer
  readonly pulse = new Pulse()
  /** Whole data messages so far. */
  messagesRead = 0
  droppedInfos = 0
  readonly #endpoint: Endpoint
  readonly #transport: SocketTransport
  readonly #context: ConnectionContext
  readonly #mailbox: Mailbox<ConnectionLetter>
  readonly #ending: Ending
  readonly #limiter: RateLimiter | undefined
  #timers: Timers | undefined
  #initTimer: NodeJS.Timeout | undefined
  #heldBroadcasts: HeldBroadcasts | undefined
  /** Tasks of `ws.run` that have not settled. */
  #tasks = 0
  #state: unknown
  /** The mailbox stands still for the peer (`slowPeer: 'wait'`). */
  #waitsForPeer = false
  #infoRefused = false

  /** To be called in the tick of the 101, and `start` too: a byte that finds no listener is lost. */
  constructor (endpoint: Endpoint, peer: Peer) {
    this.#endpoint = endpoint
    this.peer = peer
    const { rateLimit } = endpoint.limits
    this.#limiter = rateLimit && new RateLimiter(rateLimit, () => this.#transport.hold('rateLimit', false))
    this.#context = new ConnectionContext(this)
    this.#ending = new Ending(this)
    this.#mailbox = new Mailbox(this)
    this.#transport = new SocketTransport(peer.socket, this, peer.windowBits)
  }

  /** `init` is letter number one. */
  start (args: InitArgs<unknown, unknown, unknown>): void {
    this.#mailbox.post({ type: 'init', bytes: 0, args })
  }

  get id (): string { return this.peer.id }
  get subprotocol (): string | null { return this.peer.subprotocol }
  get group (): Endpoint { return this.#endpoint }
  get limits (): ConnectionLimits { return this.#endpoint.limits }
  get sharing (): WriteSharing { return this.#endpoint.sharing }
  get metered (): boolean { return this.#limiter !== undefined }
  get readingHeld (): boolean { return this.#transport.held }
  get busy (): boolean { return this.#mailbox.busy || this.#tasks > 0 }
  get ending (): boolean { return this.#ending.begun }
  get signal (): AbortSignal { return this.#ending.signal }
  /** Why it ends, once it does. */
  get endReason (): TerminateReason | undefined { return this.#ending.reason }
  /** What the callbacks have made of it. */
  get state (): unknown { return this.#state }
  /** Letters that wait. */
  get waiting (): number { return this.#mailbox.length }
  get bufferedBytes (): number { return this.#transport.queue.bufferedBytes + (this.#heldBroadcasts?.bytes ?? 0) }
  get server (): FastifyInstance { return this.#endpoint.server }
  get droppedMessages (): number { return this.#transport.queue.droppedMessages }

  // ── what comes over the transport

  count (frames: number, bytes: number): void {
    const verdict = this.#limiter?.judge(frames, bytes)
    if (verdict === 'wait') this.#transport.hold('rateLimit', true)
    else if (verdict === 'close') this.#endWithError(new FST_WEBSOCK_RATE_LIMITED(), closeCodes.policyViolation)
  }

  receiveText (text: string, bytes: number): void {
    this.messagesRead++
    this.#mailbox.post(createMessage(this.#endpoint, text, bytes))
  }

  receiveBinary (data: Buffer): void {
    this.messagesRead++
    const kept = this.#mailbox.busy ? copyOfSmall(data) : data
    this.#mailbox.post(createMessage(this.#endpoint, kept, data.length))
  }

  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (this.#endpoint.handler.handleControl === undefined) return
    this.#mailbox.post({ type: 'control', bytes: data.length, frame: { opcode, data: copyOfSmall(data) } })
  }

  failed (error: Error, code: number): void { this.#endWithError(error, code) }

  /** What the peer sent before is still handled, and then `terminate`. */
  peerEnded (code: number, reason: string): void {
    if (this.#ending.begun) return
    this.#mailbox.retain(isFromPeer)
    this.#release()
    this.#ending.begin({ type: 'remote', code, reason }, this.busy)
  }

  closed (): void {
    this.#endpoint.onSocketClosed(this)
    this.#ending.socketClosed()
  }

  slowPeer (bufferedBytes: number): void {
    this.#endWithError(new FST_WEBSOCK_SLOW_PEER(bufferedBytes), closeCodes.tryAgainLater)
  }

  messageRefused (): void { this.#refuseInfo() }

  pongsUnread (): void {
    const error = new FST_WEBSOCK_SLOW_PEER(this.bufferedBytes)
    this.#end({ type: 'error', error, code: closeCodes.abnormal }, 'cut')
  }

  // ── what comes from inside

  /** Puts an info into the mailbox; false when it was not taken. */
  offer (info: unknown): boolean { return this.#offer({ type: 'info', bytes: 0, info }) }

  /** The same for what the library has to tell. False also when the handler does not want to know. */
  announce (news: News): boolean {
    return this.#endpoint.handler[CALLBACK_NAMES[news.type]] !== undefined && this.#offer({ ...news, bytes: 0 })
  }

  #offer (letter: ConnectionLetter): boolean {
    if (this.#ending.begun) return false
    if (this.#mailbox.offer(letter)) return true
    this.#refuseInfo()
    return false
  }

  /** Ends the connection at the end of the tick: no handler runs within the call that offers an info. */
  #refuseInfo (): void {
    if (this.limits.infoOverflow === 'drop') {
      if (++this.droppedInfos > 1) return
      writeLog(() => this.#context.log, 'warn', { letters: this.#mailbox.length }, 'the mailbox is full: infos are dropped')
    } else if (!this.#infoRefused) {
      this.#infoRefused = true
      this.#endpoint.sharing.loop.atEndOfTick(this)
    }
  }

  endTick (): void {
    if (this.#ending.begun) return
    const error = new FST_WEBSOCK_MAILBOX_FULL(this.#mailbox.length)
    writeLog(() => this.#context.log, 'warn', { err: error }, 'the mailbox is full: the connection is closed')
    this.#endWithError(error, closeCodes.tryAgainLater)
  }

  broadcast (message: PreparedMessage, topic: string): void {
    if (this.#heldBroadcasts?.holds(topic) === true) this.#heldBroadcasts.add(message)
    else this.#transport.queue.broadcast(message)
  }

  /** Ends the connection at the end of the tick: no handler runs within the call of another one. */
  closeSoon (code: number, reason: string): void {
    this.#endpoint.sharing.loop.atEndOfTick({ endTick: () => this.close(code, reason) })
  }

  // ── what the handler asks for

  /** Sends at once. True: sent or queued. What cannot be sent ends the connection, as a callback's failure does. */
  send (messages: unknown): boolean {
    const { queue } = this.#transport
    if (!queue.open) return false
    try {
      const frames = this.#encode(messages)
      if (!Array.isArray(frames)) return queue.sendAside(frames)
      let sent = true
      for (const frame of frames) sent = queue.sendAside(frame) && sent
      return sent
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
  run (task: (signal: AbortSignal) => unknown): void {
    if (this.#ending.begun) return
    this.#tasks++
    void this.#runTask(task)
  }

  async #runTask (task: (signal: AbortSignal) => unknown): Promise<void> {
    try {
      await task(this.signal)
    } catch (error) {
      // Once aborted, a task may end by the error of its signal.
      if (!this.signal.aborted || error !== this.signal.reason) this.#failAside(error, 'ws.run')
    }
    this.#tasks--
    if (!this.#mailbox.busy) this.#endWork()
  }

  #failAside (error: unknown, by: string): void {
    this.report(error, by)
    this.#endWithError(error, closeCodes.internalError)
  }

  postAfter (info: unknown, ms: number): Timer { return this.#openTimers().after(ms, () => this.offer(info)) }
  postInterval (info: unknown, ms: number): Timer {
    const tick: Tick = { type: 'tick', bytes: 0, info, waiting: false }
    return this.#openTimers().every(ms, () => {
      if (!tick.waiting) tick.waiting = this.#offer(tick)
    })
  }

  pause (): void { this.#transport.hold('handler', true) }
  resume (): void { this.#transport.hold('handler', false) }

  subscribe (topic: string): void {
    if (this.#ending.begun) return
    this.#endpoint.topics.subscribe(topic, this)
    if (this.callbackRuns) (this.#heldBroadcasts ??= new HeldBroadcasts(this.limits.maxBufferedBytes)).hold(topic)
  }

  unsubscribe (topic: string): void { this.#endpoint.topics.unsubscribe(topic, this) }
  subscriptionReady (topic: string): Promise<boolean> { return this.#endpoint.topics.subscriptionReady(topic, this) }

  publishToOthers (topic: string, info: unknown): void { this.#endpoint.topics.publish(topic, info, { except: this.id }) }
  broadcastToOthers (topic: string, message: unknown): void { this.#endpoint.topics.broadcast(topic, message, { except: this.id }) }

  track (topic: string, key: string, meta: unknown): void {
    if (!this.#ending.begun) this.#endpoint.topics.track(topic, key, meta, this.id, this.#endpoint.limits.maxPresenceBytes)
  }

  untrack (topic: string, key: string): void { this.#endpoint.topics.untrack(topic, key, this.id) }

  createRef (): Ref { return new Ref(this.id, this.#endpoint.topics) }
  createLog (): FastifyBaseLogger { return childOf<FastifyBaseLogger>(this.peer.log, { websocket: this.id, route: this.#endpoint.url }) }

  #openTimers (): Timers {
    this.#timers ??= new Timers(this.sharing.loop.clock)
    if (this.#ending.begun) this.#timers.endAll()
    return this.#timers
  }

  // ── what the server does

  /** Tells the developer of a mistake, once for each route. */
  warn (mistake: Mistake): void { warnOnce(this.#endpoint, () => this.#context.log, mistake) }

  ping (): void { this.#transport.queue.ping() }

  timeOut (kind: 'dead' | 'idle'): void {
    this.#end({ type: 'timeout' }, kind === 'dead' ? 'cut' : { code: closeCodes.normal, reason: 'idle' })
  }

  /** Ends because the server does. */
  shutDown (code: number): void {
    this.#end({ type: 'shutdown' }, { code, reason: '' })
  }

  /** Ends without a close frame, or breaks off waiting for the peer's. */
  cut (): void { this.#end({ type: 'shutdown' }, 'cut') }

  // ── the mailbox

  holdReading (full: boolean): void { this.#transport.hold('mailbox', full) }

  deliver (letter: ConnectionLetter): Promise<void> | void {
    try {
      const result = callHandler(letter, this.#endpoint, this.#state, this.#context)
      if (isThenable(result)) return this.#settle(letter, result)
      if (this.#apply(letter, result) && this.#passesGuard(letter)) return this.deliver(letter)
    } catch (error) {
      this.#fail(letter, error)
    }
    return this.#afterCallback()
  }

  async #settle (letter: ConnectionLetter, result: PromiseLike<unknown>): Promise<void> {
    if (letter.type === 'init') this.#limitInit()
    let passes = false
    try {
      passes = this.#apply(letter, await result) && this.#passesGuard(letter)
    } catch (error) {
      this.#fail(letter, error)
    }
    clearTimeout(this.#initTimer)
    await (passes ? this.deliver(letter) : this.#afterCallback())
  }

  /** True when a message has passed its guard. Not when this side has ended the connection meanwhile. */
  #passesGuard (letter: ConnectionLetter): boolean {
    return passGuard(letter) && !this.#mailbox.dropped
  }

  #limitInit (): void {
    const { initTimeoutMs } = this.limits
    this.#initTimer = setTimeout(() => {
      const error = new FST_WEBSOCK_CALLBACK_TIMEOUT('init', initTimeoutMs)
      this.report(error, 'init')
      this.#endWithError(error, closeCodes.internalError)
    }, initTimeoutMs)
  }

  /**
   * The only reader of results. Throws before anything is sent or kept when any part of one is
   * impossible. True for a result that sends nothing and ends nothing.
   */
  #apply (letter: ConnectionLetter, value: unknown): boolean {
    if (!this.#context.resultReturned(value)) this.warn('result')
    const result = checkResult(value)
    const stopped = result?.type === 'stop' ? resolveStop(result) : undefined
    const { queue } = this.#transport
    const messages = result === undefined || result.type === 'ok' ? undefined : result.messages
    const sends = queue.open && result !== undefined && (result.type === 'push' || messages !== undefined)
    const frames = sends ? this.#encode(messages) : undefined
    if (result?.state !== undefined) this.#state = result.state
    if (letter.type === 'init') this.#ending.initReturned()
    if (Array.isArray(frames)) for (const frame of frames) queue.send(frame)
    else if (frames !== undefined) queue.send(frames)
    if (this.#heldBroadcasts !== undefined) this.#sendHeldBroadcasts()
    if (stopped === undefined) return result === undefined || result.type === 'ok'
    const first = !this.#ending.begun
    this.#end(stopped.reason, stopped.frame)
    if (first && stopped.reason.type === 'error') writeStop(() => this.#context.log, stopped.reason.error, stopped.frame.code)
    return false
  }

  #encode (messages: unknown): OutgoingFrame | OutgoingFrame[] {
    if (!Array.isArray(messages)) return this.#endpoint.encode(messages)
    // Not map, which passes over holes: they would be found when half of the list is sent.
    return Array.from(messages, (message: unknown) => this.#endpoint.encode(message))
  }

  #sendHeldBroadcasts (): void {
    const { messages, refused } = this.#heldBroadcasts as HeldBroadcasts
    const { queue } = this.#transport
    this.#heldBroadcasts = undefined
    for (const message of messages) queue.broadcast(message)
    if (refused === 0) return
    if (this.limits.slowPeer === 'drop') queue.droppedMessages += refused
    else this.slowPeer(this.bufferedBytes)
  }

  #fail (letter: ConnectionLetter, error: unknown): void {
    this.#context.resultReturned(undefined)
    this.report(error, callbackOf(letter))
    this.#endWithError(error, closeCodes.internalError)
  }

  #afterCallback (): Promise<void> | void {
    if (this.#transport.queue.overHighWaterMark) return this.#waitForPeer()
    this.#endWork()
  }

  /** `terminate` may run when nothing else of this connection does. */
  #endWork (): void {
    if (this.#ending.begun && this.#tasks === 0 && this.#mailbox.length === 0) this.#ending.workEnded()
  }

  async #waitForPeer (): Promise<void> {
    this.#waitsForPeer = true
    await this.#transport.queue.drained()
    this.#waitsForPeer = false
    await this.#afterCallback()
  }

  report (error: unknown, callback: string): void {
    writeFailure(() => this.#context.log, error, callback)
  }

  // ── the end

  /** A callback runs, and not just the wait for the peer. */
  get callbackRuns (): boolean { return this.#mailbox.busy && !this.#waitsForPeer }

  get running (): string | undefined {
    if (this.callbackRuns) return 'the running callback'
    return this.#tasks > 0 ? 'a task of ws.run' : undefined
  }

  dropLetters (): void { this.#mailbox.close() }

  terminate (reason: TerminateReason): Awaitable<void> {
    // After the peer's FIN there was still something to send.
    if (reason.type === 'remote') this.#transport.endWriting()
    return this.#endpoint.handler.terminate?.(reason, this.#state, this.#context)
  }

  leave (): void { this.#endpoint.onGone(this) }

  #endWithError (error: unknown, code: number): void {
    this.#end({ type: 'error', error, code }, { code, reason: '' })
  }

  /**
   * The one way in which this side ends the connection. The first reason wins; letters that wait are
   * dropped; the close frame goes out at once.
   */
  #end (reason: TerminateReason, close: CloseFrame | 'cut'): void {
    const first = !this.#ending.begun
    const { busy } = this
    this.#mailbox.close()
    if (first) this.#release()
    if (close === 'cut') this.#transport.destroy()
    else this.#transport.close(close.code, close.reason)
    if (first) this.#ending.begin(reason, busy)
  }

  /** Lets go of all that a connection has while it is open. */
  #release (): void {
    this.#timers?.endAll()
    this.#limiter?.stop()
    this.#heldBroadcasts = undefined
    this.#endpoint.topics.leave(this)
    this.#transport.release()
  }
}

/** A message is a view into what was read, 64 KiB at most: a small one that waits would keep all of that. */
function copyOfSmall (data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}
