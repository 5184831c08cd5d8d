import { FST_WEBSOCK_PROTOCOL_ERROR, FST_WEBSOCK_RATE_LIMITED } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { RateLimiter, type RateLimit } from './rate-limit.ts'
import type { Listener } from './transport.ts'

export interface IntakeLimits {
  readonly maxMessageBytes: number
  readonly rateLimit: RateLimit | undefined
}

/** Who is told of what comes. None of these throws. */
export interface IntakeOwner {
  readonly limits: IntakeLimits
  /** Pings and pongs are wanted. */
  readonly hearsControl: boolean
  /** A whole data message: text, or bytes that are a view into what was read together. `bytes`: of its payload. */
  takeMessage (data: string | Buffer, bytes: number): void
  takeControl (opcode: 'ping' | 'pong', data: Buffer): void
  /** The peer sent what it may not. */
  refuse (error: Error, code: number): void
  /** The socket failed, or the peer broke the protocol. */
  fail (error: Error): void
  closed (code: number, reason: string): void
  sendPong (data: Buffer): void
  flush (): void
  divert (): void
  /** Reads the socket, or stops that. */
  setReading (on: boolean): void
}

/** Who may want the socket not to be read. */
const HOLDERS = { mailbox: 1, handler: 2, rateLimit: 4 } as const

/** The one door in of a connection: messages of the right size and number, and whether the socket is read. */
export class Intake implements Listener {
  messagesRead = 0
  readonly #owner: IntakeOwner
  readonly #limiter: RateLimiter | undefined
  #holds = 0
  #released = false

  constructor (owner: IntakeOwner) {
    const { rateLimit } = owner.limits
    this.#owner = owner
    this.#limiter = rateLimit && new RateLimiter(rateLimit, () => this.hold('rateLimit', false))
  }

  get held (): boolean { return this.#holds !== 0 }

  readText (text: string, bytes: number): void {
    if (this.#isTaken(bytes)) this.#owner.takeMessage(text, bytes)
  }

  readBinary (data: Buffer): void {
    if (this.#isTaken(data.length)) this.#owner.takeMessage(data, data.length)
  }

  readControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (this.#isAllowed(data.length) && this.#owner.hearsControl) this.#owner.takeControl(opcode, data)
  }

  fail (error: Error): void {
    this.#owner.fail(error)
  }

  closed (code: number, reason: string): void {
    this.#owner.closed(code, reason)
  }

  sendPong (data: Buffer): void {
    this.#owner.sendPong(data)
  }

  flush (): void {
    this.#owner.flush()
  }

  divert (): void {
    this.#owner.divert()
  }

  /** Holds the socket, or lets go of it: it is read as long as nobody holds it. */
  hold (by: keyof typeof HOLDERS, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | HOLDERS[by] : before & ~HOLDERS[by]
    if (this.#released || (before === 0) === (this.#holds === 0)) return
    this.#owner.setReading(!on)
  }

  /** Reads on whoever holds it: at the end the peer's close frame is to be seen, or it would be cut after closeTimeoutMs. */
  release (): void {
    this.#released = true
    this.#limiter?.stop()
    if (this.#holds !== 0) this.#owner.setReading(true)
  }

  #isTaken (bytes: number): boolean {
    this.messagesRead++
    if (bytes <= this.#owner.limits.maxMessageBytes) return this.#isAllowed(bytes)
    this.#owner.refuse(new FST_WEBSOCK_PROTOCOL_ERROR('a message that is too big'), closeCodes.messageTooBig)
    return false
  }

  #isAllowed (bytes: number): boolean {
    const verdict = this.#limiter?.judge(bytes)
    if (verdict === undefined) return true
    if (verdict === 'wait') {
      this.hold('rateLimit', true)
      return true
    }
    this.#owner.refuse(new FST_WEBSOCK_RATE_LIMITED(), closeCodes.policyViolation)
    return false
  }
}

/** A message is a view into what was read, 64 KiB at most: a small one that waits would keep all of that. */
export function copyOfSmall (data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}
