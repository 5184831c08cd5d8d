import type { OutgoingFrame } from '../wire/frame.ts'

/** Who is told of what comes over a transport. None of these throws. */
export interface Listener {
  /** Whole data messages so far. */
  readonly messagesRead: number
  /** `bytes`: of the payload. */
  readText (text: string, bytes: number): void
  /** A view into what was read together. */
  readBinary (data: Buffer): void
  readControl (opcode: 'ping' | 'pong', data: Buffer): void
  /** Answers a ping with the same bytes, behind all that was sent before. */
  sendPong (data: Buffer): void
  /** Something is about to be written past the outbox: what waits to be written comes first. */
  flush (): void
  /** A socket that was written without ws is to be written with its transport's knowledge only: it closes, or ws writes to it too. */
  divert (): void
  /** The socket failed, or the peer broke the protocol. */
  fail (error: Error): void
  /** TCP has ended, with the peer's close frame (1005: without a code) or without (1006). Called once, last of all. */
  closed (code: number, reason: string): void
}

/** One socket behind its 101. */
interface AnyTransport {
  /** Neither side has begun to close, so frames may be sent. */
  readonly open: boolean
  /** Bytes that have not left yet. */
  readonly bufferedBytes: number
  pause (): void
  resume (): void
  /** Begins the closing handshake; the socket is cut when the peer does not answer in time. */
  close (code: number, reason: string): void
  /** Ends without one. */
  terminate (): void
}

/** Frames are written to the socket without it, a burst at a time. */
export interface PlainTransport extends AnyTransport {
  readonly plain: true
}

export interface FramingTransport extends AnyTransport {
  readonly plain: false
  /** An extension was agreed on, which can only be compression. */
  readonly compressed: boolean
  /** `onSent` is called when it has left, and with an error when it never will. */
  send (frame: OutgoingFrame, onSent: ((error?: Error) => void) | undefined): void
}

export type Transport = PlainTransport | FramingTransport
