import { Socket } from 'node:net'
import { finished, type Duplex } from 'node:stream'
import { FST_WEBSOCK_PROTOCOL_ERROR } from '../errors.ts'
import { buildClosePayload } from '../protocol/close-payload.ts'
import { FrameParser, type FrameSink } from '../protocol/frame-parser.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { Deflate } from '../wire/deflate.ts'
import type { SendQueueLimits, SendQueueOwner, Traffic } from './send-queue-owner.ts'
import { SendQueue } from './send-queue.ts'

export interface TransportLimits extends SendQueueLimits {
  readonly maxMessageBytes: number
  readonly closeTimeoutMs: number
}

/** Reasons to stop reading, as bits. */
const HOLDERS = { mailbox: 1, handler: 2, rateLimit: 4 } as const
type Holder = keyof typeof HOLDERS

/** Counters of all connections of a route. */
export interface TransportTraffic extends Traffic {
  bytesReceived: number
  readonly timeouts: { close: number }
}

/** Receives the messages and events of a transport. No method may throw. */
export interface TransportOwner extends SendQueueOwner {
  readonly limits: TransportLimits
  readonly traffic: TransportTraffic
  /** True with a rate limit: `count` must be called. */
  readonly metered: boolean
  /** Reading of the socket was paused. `readingResumed` follows when it is read again. */
  readingPaused (by: Holder): void
  readingResumed (by: Holder | 'end'): void
  /** Calls `parse` in the async context of the connection's callbacks. */
  enterRead<Self> (parse: (this: Self, chunk: Buffer) => void, self: Self, chunk: Buffer): void
  /** Counts complete frames and payload bytes. Called before the frame is received. */
  count (frames: number, bytes: number): void
  /** A complete text message. `bytes`: its length in UTF-8. */
  receiveText (text: string, bytes: number): void
  /** A complete binary message. `data` may be a view into a larger chunk. */
  receiveBinary (data: Buffer): void
  /** A ping or pong. `data` is a view into a larger chunk. The pong to a ping has been sent. */
  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void
  /**
   * The peer has sent its close frame, or TCP has ended without one (1006). Called once; no message
   * follows. After a close frame nothing can be sent.
   */
  peerEnded (code: number, reason: string): void
  /** The peer has violated the protocol. `code`: the close code to send. */
  failed (error: Error, code: number): void
  /** The socket is closed. Called once, after all other calls. */
  closed (): void
}

// All sockets share one function per event: closures would be a tenth of the memory of an idle
// connection.
const kTransport = Symbol('fastify-websock.transport')
type Known = Duplex & { [kTransport]: SocketTransport }

/**
 * A WebSocket on a stream after the handshake: frames in both directions and the closing handshake
 * (RFC 6455 §5, §7), on TCP, TLS, a Unix socket or any other Duplex.
 *
 * The first of our close frame, the peer's close frame and the peer's FIN starts a timer: the
 * socket is closed within `closeTimeoutMs`.
 */
export class SocketTransport implements FrameSink {
  readonly queue: SendQueue
  /** Bytes read from the socket so far. */
  bytesRead = 0
  readonly #socket: Duplex
  readonly #owner: TransportOwner
  readonly #parser: FrameParser
  #holds = 0
  #released = false
  #closeSent = false
  #ended = false
  #writingEnded = false
  /** Bytes received after our close frame. */
  #bytesAfterClose = 0
  #timer: NodeJS.Timeout | undefined
  #reading = false
  /** Chunks that a stream emitted while another chunk was being parsed. */
  #unread: Buffer[] | undefined

  /**
   * Call it in the tick of the 101, so that no byte is lost. `deflate`: undefined when
   * permessage-deflate was not negotiated.
   */
  constructor (socket: Duplex, owner: TransportOwner, deflate: Deflate | undefined) {
    this.#socket = socket
    this.#owner = owner
    this.queue = new SendQueue(socket, owner, deflate)
    this.#parser = new FrameParser(this)
    ;(socket as Known)[kTransport] = this
    // Without this, TLS sockets of a server end their side at the peer's FIN, although answers may
    // still have to be sent.
    socket.allowHalfOpen = true
    // The HTTP server may have set a timeout, and the application may have enabled Nagle's
    // algorithm.
    if (socket instanceof Socket) socket.setTimeout(0).setNoDelay()
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
  }

  get limits (): TransportLimits { return this.#owner.limits }
  get inflates (): boolean { return this.queue.deflate !== undefined }
  get metered (): boolean { return this.#owner.metered && !this.#closeSent }

  /** True while there is a reason not to read. */
  get held (): boolean { return this.#holds !== 0 && !this.#released }

  /** Adds or removes a reason to stop reading. The socket is read while there is none. */
  hold (by: Holder, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | HOLDERS[by] : before & ~HOLDERS[by]
    if (this.#released || (before === 0) === (this.#holds === 0)) return
    // After the peer's close frame only its FIN is to be read.
    if (!on) this.#socket.resume()
    else if (!this.#parser.stopped) this.#socket.pause()
    if (on) this.#owner.readingPaused(by)
    else this.#owner.readingResumed(by)
  }

  /**
   * Reads from now on regardless of the reasons to stop: the peer's close frame and FIN must be
   * seen.
   */
  release (): void {
    const isHeld = this.held
    this.#released = true
    if (!isHeld) return
    this.#socket.resume()
    this.#owner.readingResumed('end')
  }

  /** Sends a close frame behind all accepted frames. Does nothing when one has been sent. */
  close (code: number, reason: string): void {
    if (this.#closeSent || !this.queue.open) return
    this.#sendClose(buildClosePayload(code, reason))
    // Nothing is parsed any more, so the peer's close frame would not be seen.
    if (this.#parser.stopped || this.#ended) this.endWriting()
    this.#socket.resume()
  }

  /** Sends FIN behind all accepted frames. */
  endWriting (): void {
    this.queue.end()
    if (!this.#writingEnded) {
      this.#writingEnded = true
      this.#socket.end()
    }
    this.#destroyWhenFinished()
  }

  /** Destroys the socket when `closeTimeoutMs` is over. */
  timeOut (): void {
    this.#owner.traffic.timeouts.close++
    this.#socket.destroy()
  }

  /** Closes the socket without a close frame and without waiting. */
  destroy (): void {
    this.queue.stop()
    this.#parser.stop()
    this.#socket.destroy()
  }

  // ── called by the parser

  count (frames: number, bytes: number): void { this.#owner.count(frames, bytes) }

  receiveText (text: string, bytes: number): void {
    if (!this.#closeSent) this.#owner.receiveText(text, bytes)
  }

  receiveBinary (data: Buffer): void {
    if (!this.#closeSent) this.#owner.receiveBinary(data)
  }

  receiveControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (this.#closeSent) return
    if (opcode === 'ping') this.queue.pong(data)
    this.#owner.receiveControl(opcode, data)
  }

  receiveClose (code: number, reason: string, payload: Buffer): void {
    // RFC 6455 §5.5.1: the answer has the same status code. §7.1.1: the server closes TCP first.
    if (this.queue.open) this.#sendClose(payload)
    this.endWriting()
    this.#startTimer()
    this.#socket.resume()
    this.#peerEnded(code, reason)
  }

  fail (code: number, problem: string): void {
    if (this.#closeSent) this.endWriting()
    else this.#owner.failed(new FST_WEBSOCK_PROTOCOL_ERROR(problem), code)
  }

  // ── called for events of the socket

  /** Handles received bytes. */
  read (chunk: Buffer): void {
    this.bytesRead += chunk.length
    this.#owner.traffic.bytesReceived += chunk.length
    if (this.#reading) {
      (this.#unread ??= []).push(chunk)
      return
    }
    this.#reading = true
    this.#owner.sharing.batcher.beginRead()
    try {
      this.#owner.enterRead(this.#parseAll, this, chunk)
    } finally {
      this.#reading = false
      this.#owner.sharing.batcher.endRead()
    }
  }

  /** Handles the peer's FIN. */
  end (): void {
    this.#startTimer()
    this.#peerEnded(closeCodes.abnormal, '')
    if (this.#closeSent) this.endWriting()
  }

  /**
   * Handles an error of the socket. 'close' follows; bytes read before the error are parsed then.
   */
  broken (): void {
    this.queue.stop()
    this.#socket.destroy()
  }

  /** Handles the close of the socket. */
  gone (): void {
    this.queue.stop()
    // Bytes that arrived while reading was paused. They may contain the peer's close frame.
    this.#socket.off('data', onData)
    if (!this.#ended && this.#socket.readableLength > 0) this.read(this.#socket.read() as Buffer)
    this.#peerEnded(closeCodes.abnormal, '')
    // Cleared last, because a close frame among those bytes starts the timer.
    clearTimeout(this.#timer)
    this.#owner.closed()
  }

  /** Parses a chunk, and the chunks that arrive meanwhile. */
  #parseAll (chunk: Buffer): void {
    for (let next: Buffer | undefined = chunk; next !== undefined; next = this.#unread?.shift()) {
      this.#parse(next)
    }
  }

  #parse (chunk: Buffer): void {
    if (this.#closeSent) {
      this.#bytesAfterClose += chunk.length
      if (this.#bytesAfterClose > this.limits.maxMessageBytes) return this.#stopReading()
    }
    if (!this.#parser.stopped) this.#parser.push(chunk)
  }

  /**
   * Stops reading from a peer that floods after our close frame. The socket is not destroyed yet,
   * so that the peer can read the close frame.
   */
  #stopReading (): void {
    this.#parser.stop()
    this.endWriting()
    this.#socket.pause()
  }

  #sendClose (payload: Buffer): void {
    this.#closeSent = true
    this.#startTimer()
    this.queue.close(payload)
  }

  #peerEnded (code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#parser.stop()
    this.#owner.peerEnded(code, reason)
    this.#destroyWhenFinished()
  }

  #startTimer (): void {
    this.#timer ??= setTimeout(timeOut, this.limits.closeTimeoutMs, this)
  }

  /**
   * Destroys other streams when both sides have ended. Sockets of Node close by themselves; other
   * streams, such as the Duplexify of injectWS, may not.
   */
  #destroyWhenFinished (): void {
    const socket = this.#socket
    if (socket instanceof Socket || !this.#ended || !this.#writingEnded) return
    finished(socket, { readable: false }, () => socket.destroy())
  }
}

function timeOut (transport: SocketTransport): void { transport.timeOut() }

function onData (this: Duplex, chunk: Buffer): void { (this as Known)[kTransport].read(chunk) }
function onEnd (this: Duplex): void { (this as Known)[kTransport].end() }
function onError (this: Duplex): void { (this as Known)[kTransport].broken() }
function onClose (this: Duplex): void { (this as Known)[kTransport].gone() }
