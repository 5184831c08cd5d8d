import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { WebSocket } from 'ws'
import { FST_WEBSOCK_MAILBOX_FULL, FST_WEBSOCK_SLOW_PEER } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { OutgoingFrame } from '../wire/frame.ts'
import { burst } from './burst.ts'
import { ConnectionContext } from './context.ts'
import type { ConnectionLimits, Endpoint, Peer } from './endpoint.ts'
import { Ending, type EndingOwner } from './ending.ts'
import { FastLane } from './fast-lane.ts'
import type { Awaitable, InitArgs, News, TerminateReason } from './handler.ts'
import { Pulse, type Beating } from './heartbeat.ts'
import { copyOfSmall, Intake, type IntakeOwner } from './intake.ts'
import { CALLBACK_NAMES, callHandler, type ConnectionLetter } from './letter.ts'
import { childOf, writeLog, type LogFields, type LogLevel } from '../log.ts'
import { writeFailure, writeStop } from './log.ts'
import { Mailbox, type MailboxOwner } from './mailbox.ts'
import { Outbox } from './outbox.ts'
import { checkResult, isThenable, resolveStop, type CloseFrame, type Push, type Stop } from './result.ts'
import { Recipient } from './recipient.ts'
import { Ref } from './ref.ts'
import type { SharedFrame } from './shared-frame.ts'
import { Timers, type Timer } from './timers.ts'
import { resolveSocketError } from './socket-error.ts'
import type { Transport } from './transport.ts'
import { WsTransport } from './ws-transport.ts'

/**
 * One live socket: turns letters into calls of the handler, and their results into frames and a state.
 *
 * A failure of the handler ends this connection and nothing else; nothing here throws or rejects into its caller.
 * Its parts know it as their owner, and it has no closures: there may be a hundred thousand.
 */
export class Connection extends Recipient implements Beating, IntakeOwner, MailboxOwner<ConnectionLetter>, EndingOwner {
  readonly peer: Peer
  readonly pulse = new Pulse()
  droppedInfos = 0
  droppedMessages = 0
  readonly #endpoint: Endpoint
  readonly #transport: Transport
  readonly #context: ConnectionContext
  readonly #mailbox: Mailbox<ConnectionLetter>
  readonly #intake: Intake
  protected readonly outbox: Outbox
  readonly #ending: Ending
  #timers: Timers | undefined
  #state: unknown

  /**
   * To be called in the tick of the 101, and `start` too: a frame that finds no listener is lost. Without a `websocket` the socket is
   * one of node:net or node:tls, and no extension was agreed on.
   */
  constructor (endpoint: Endpoint, peer: Peer, websocket: WebSocket | undefined) {
    super()
    this.#endpoint = endpoint
    this.peer = peer
    this.#context = new ConnectionContext(this)
    this.#ending = new Ending(this)
    this.#mailbox = new Mailbox(this, endpoint.limits)
    this.#intake = new Intake(this)
    this.#transport = websocket === undefined ? new FastLane(peer.socket as Socket, this.#intake, endpoint) : new WsTransport(websocket, this.#intake, peer.socket)
    this.outbox = new Outbox(this.#transport, peer, endpoint)
    if (websocket === undefined) this.direct(peer.socket as Socket)
  }

  /** `init` is letter number one. */
  start (args: InitArgs<unknown, unknown, unknown>): void {
    this.#mailbox.post({ type: 'init', bytes: 0, args })
  }

  get id (): string { return this.peer.id }
  get subprotocol (): string | null { return this.peer.subprotocol }
  get group (): Endpoint { return this.#endpoint }
  get limits (): ConnectionLimits { return this.#endpoint.limits }
  get hearsControl (): boolean { return this.#endpoint.handler.handleControl !== undefined }
  get messagesRead (): number { return this.#intake.messagesRead }
  get bytesRead (): number | undefined { return (this.peer.socket as { bytesRead?: number }).bytesRead }
  get deaf (): boolean { return this.#intake.held || this.#ending.begun }
  get signal (): AbortSignal { return this.#ending.signal }
  get bufferedBytes (): number { return this.outbox.bufferedBytes }

  takeMessage (data: string | Buffer, bytes: number): void {
    const kept = this.#mailbox.busy && typeof data !== 'string' ? copyOfSmall(data) : data
    this.#mailbox.post({ type: 'message', bytes, data: kept })
  }

  takeControl (opcode: 'ping' | 'pong', data: Buffer): void {
    this.#mailbox.post({ type: 'control', bytes: data.length, frame: { opcode, data: copyOfSmall(data) } })
  }

  refuse (error: Error, code: number): void {
    this.#endWithError(error, code)
  }

  fail (error: Error): void {
    const { reason, expected } = resolveSocketError(error)
    if (!expected) this.#log('error', { err: error }, 'a websocket failed')
    this.#end(reason)
  }

  closed (code: number, reason: string): void {
    this.#end({ type: 'remote', code, reason })
    this.#ending.socketClosed()
  }

  sendPong (data: Buffer): void { this.outbox.sendPong(data) }
  flush (): void { this.outbox.flush() }

  setReading (on: boolean): void {
    if (on) this.#transport.resume()
    else this.#transport.pause()
  }

  holdReading (full: boolean): void { this.#intake.hold('mailbox', full) }

  terminate (reason: TerminateReason): Awaitable<void> {
    return this.#endpoint.handler.terminate?.(reason, this.#state, this.#context)
  }

  leave (): void { this.#endpoint.onGone(this) }

  /** Puts an info into the mailbox; false when it was not taken. */
  offer (info: unknown): boolean {
    this.#endpoint.topics.settle()
    return this.#offer({ type: 'info', bytes: 0, info })
  }

  /** The same for what the library has to tell. False also when the handler does not want to know. */
  announce (news: News): boolean {
    this.#endpoint.topics.settle()
    return this.#endpoint.handler[CALLBACK_NAMES[news.type]] !== undefined && this.#offer({ ...news, bytes: 0 })
  }

  #offer (letter: ConnectionLetter): boolean {
    if (this.#ending.begun || !this.#transport.open) return false
    if (this.#mailbox.offer(letter)) return true
    if (this.#endpoint.limits.infoOverflow === 'drop') {
      if (++this.droppedInfos === 1) this.#log('warn', { letters: this.#mailbox.length }, 'the mailbox is full: infos are dropped')
    } else {
      const error = new FST_WEBSOCK_MAILBOX_FULL(this.#mailbox.length)
      this.#log('warn', { err: error }, 'the mailbox is full: the connection is closed')
      this.#endWithError(error, closeCodes.tryAgainLater)
    }
    return false
  }

  sendAfter (info: unknown, ms: number): Timer { return this.#openTimers().after(ms, () => this.offer(info)) }
  sendInterval (info: unknown, ms: number): Timer { return this.#openTimers().every(ms, () => this.offer(info)) }

  pause (): void { this.#intake.hold('handler', true) }
  resume (): void { this.#intake.hold('handler', false) }

  ping (): void {
    this.outbox.send({ opcode: 'ping', data: '' })
  }

  timeOut (kind: 'dead' | 'idle'): void {
    this.#end({ type: 'timeout' }, kind === 'dead' ? 'cut' : { code: closeCodes.normal, reason: 'idle' })
  }

  /** Ends without a close frame, or breaks off waiting for the peer's. */
  cut (): void {
    this.#end({ type: 'shutdown' }, 'cut')
    this.#transport.terminate()
  }

  /** Ends because the server does. */
  shutDown (code: number): void {
    this.#end({ type: 'shutdown' }, { code, reason: '' })
  }

  subscribe (topic: string): void {
    if (!this.#ending.begun) this.#endpoint.topics.subscribe(topic, this)
  }

  unsubscribe (topic: string): void { this.#endpoint.topics.unsubscribe(topic, this) }
  subscriptionReady (topic: string): Promise<boolean> { return this.#endpoint.topics.subscriptionReady(topic, this) }

  track (topic: string, key: string, meta: unknown): void {
    if (!this.#ending.begun) this.#endpoint.topics.track(topic, key, meta, this.id, this.#endpoint.limits.maxPresenceBytes)
  }

  untrack (topic: string, key: string): void { this.#endpoint.topics.untrack(topic, key, this.id) }

  createRef (): Ref { return new Ref(this.id, this.#endpoint.post) }
  createLog (): FastifyBaseLogger { return childOf<FastifyBaseLogger>(this.peer.log, { websocket: this.id, route: this.#endpoint.url }) }

  #openTimers (): Timers {
    this.#timers ??= new Timers()
    if (this.#ending.begun) this.#timers.endAll()
    return this.#timers
  }

  deliver (letter: ConnectionLetter): Promise<void> | void {
    // The peer has closed: we are told when TCP has ended too, which the peer may put off. Letters that wait are dropped now.
    if (!this.#transport.open) return
    try {
      const result = letter.type === 'shared' ? this.sendWaiting(letter.frame) : callHandler(letter, this.#endpoint, this.#state, this.#context)
      if (isThenable(result)) {
        burst.expectAnswer()
        return this.#settle(letter, result)
      }
      this.#apply(letter, result)
    } catch (error) {
      this.#fail(letter, error)
    }
    return this.#afterCallback()
  }

  async #settle (letter: ConnectionLetter, result: PromiseLike<unknown>): Promise<void> {
    try {
      this.#apply(letter, await result)
    } catch (error) {
      this.#fail(letter, error)
    }
    await this.#afterCallback()
  }

  /** The only reader of results. Throws before anything is sent or kept when any part of one is impossible. */
  #apply (letter: ConnectionLetter, value: unknown): void {
    const result = checkResult(value)
    const stopped = result?.type === 'stop' ? resolveStop(result) : undefined
    const frames = result === undefined || result.type === 'ok' || this.#ending.begun ? undefined : this.#encode(result)
    if (result?.state !== undefined) this.#state = result.state
    if (letter.type === 'init') this.#ending.initReturned()
    if (Array.isArray(frames)) for (const frame of frames) this.#send(frame)
    else if (frames !== undefined) this.#send(frames)
    if (stopped === undefined || this.#ending.begun) return
    this.#end(stopped.reason, stopped.frame)
    if (stopped.reason.type === 'error') writeStop(() => this.#context.log, stopped.reason.error, stopped.frame.code)
  }

  #send (frame: OutgoingFrame): void {
    if (!this.#ending.begun && !this.outbox.send(frame)) this.meetSlowPeer()
  }

  protected offerShared (frame: SharedFrame): boolean {
    return this.#offer({ type: 'shared', bytes: frame.bytes.length, frame })
  }

  protected meetSlowPeer (): void {
    if (this.limits.slowPeer === 'drop') this.droppedMessages++
    else this.#endWithError(new FST_WEBSOCK_SLOW_PEER(this.bufferedBytes), closeCodes.tryAgainLater)
  }

  #encode ({ type, messages }: Push<unknown> | Stop<unknown>): OutgoingFrame | OutgoingFrame[] | undefined {
    if (type === 'stop' && messages === undefined) return undefined
    // Not map, which passes over holes: they would be found when half of the list is sent.
    return Array.isArray(messages) ? Array.from(messages, (message: unknown) => this.#endpoint.encode(message)) : this.#endpoint.encode(messages)
  }

  #fail (letter: ConnectionLetter, error: unknown): void {
    this.report(error, CALLBACK_NAMES[letter.type])
    this.#endWithError(error, closeCodes.internalError)
  }

  #afterCallback (): Promise<void> | void {
    if (this.#ending.begun) this.#ending.callbackEnded()
    else if (this.outbox.clogged) return this.outbox.drained().then(() => this.#afterCallback())
  }

  report (error: unknown, callback: string): void {
    writeFailure(() => this.#context.log, error, callback)
  }

  #log (level: LogLevel, fields: LogFields, text: string): void {
    writeLog(() => this.#context.log, level, fields, text)
  }

  #endWithError (error: unknown, code: number): void {
    this.#end({ type: 'error', error, code }, { code, reason: '' })
  }

  /** The one way to end. The first reason wins; letters that wait are dropped; the close frame goes out at once. */
  #end (reason: TerminateReason, close?: CloseFrame | 'cut'): void {
    this.#endpoint.topics.settle()
    if (this.#ending.begun) return
    const busy = this.#mailbox.busy
    this.#mailbox.close()
    this.#timers?.endAll()
    this.#endpoint.topics.leave(this)
    this.outbox.stopWaiting()
    this.#intake.release()
    this.outbox.flush()
    if (close === 'cut') this.#transport.terminate()
    else if (close !== undefined) this.#transport.close(close.code, close.reason)
    this.#ending.begin(reason, busy)
  }
}
