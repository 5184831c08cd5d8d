import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { FST_WEBSOCK_PROTOCOL_ERROR, FST_WEBSOCK_RATE_LIMITED } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { FastLane, type Listener } from './fast-lane.ts'
import { RateLimiter, type RateLimit } from './rate-limit.ts'

export interface IntakeLimits {
  readonly maxMessageBytes: number
  readonly rateLimit: RateLimit | undefined
  readonly fastLane: boolean
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
  /** ws is about to read something, and may answer by itself: what waits to be written comes first. */
  flush (): void
}

/** Who may want the socket not to be read. */
const HOLDERS = { mailbox: 1, handler: 2, rateLimit: 4 } as const

/** So that one function listens to all websockets: a closure for each would be a tenth of an idle connection. */
const kIntake = Symbol('fastify-websock.intake')
type Known = WebSocket & { [kIntake]: Intake }

/** The one door in of a connection: messages of the right size and number, and whether the socket is read. */
export class Intake implements Listener {
  messagesRead = 0
  readonly #websocket: WebSocket
  readonly #owner: IntakeOwner
  readonly #lane: FastLane | undefined
  readonly #limiter: RateLimiter | undefined
  #holds = 0
  #released = false

  /** To be called in the tick of the 101: a frame that finds no listener is lost. */
  constructor (websocket: WebSocket, socket: Duplex, owner: IntakeOwner) {
    const { fastLane, rateLimit } = owner.limits
    this.#websocket = websocket
    this.#owner = owner
    this.#lane = fastLane && websocket.extensions === '' ? FastLane.open(socket, this) : undefined
    this.#limiter = rateLimit && new RateLimiter(rateLimit, () => this.hold('rateLimit', false))
    ;(websocket as Known)[kIntake] = this
    websocket.on('message', onMessage).on('error', onError).on('close', onClose)
    if (owner.hearsControl || rateLimit !== undefined) websocket.on('ping', onPing).on('pong', onPong)
  }

  /** Plain frames are read without ws, and may be written without it. */
  get plain (): boolean { return this.#lane !== undefined }
  get held (): boolean { return this.#holds !== 0 }
  get maxMessageBytes (): number { return this.#owner.limits.maxMessageBytes }

  readText (text: string, bytes: number): void {
    if (this.#isTaken(bytes)) this.#owner.takeMessage(text, bytes)
  }

  readBinary (data: Buffer): void {
    if (this.#isTaken(data.length)) this.#owner.takeMessage(data, data.length)
  }

  readControl (opcode: 'ping' | 'pong', data: Buffer): void {
    if (!this.#isAllowed(data.length) || !this.#owner.hearsControl) return
    this.#owner.takeControl(opcode, data)
    // ws reads on by itself, and the next frame may be one that it answers.
    this.flush()
  }

  fail (error: Error): void {
    this.#lane?.stop()
    this.#owner.fail(error)
  }

  closed (code: number, reason: string): void {
    this.#owner.closed(code, reason)
  }

  flush (): void {
    this.#owner.flush()
  }

  /** Holds the socket, or lets go of it: it is read as long as nobody holds it. */
  hold (by: keyof typeof HOLDERS, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | HOLDERS[by] : before & ~HOLDERS[by]
    if (this.#released || (before === 0) === (this.#holds === 0)) return
    if (on) this.#websocket.pause()
    else this.#websocket.resume()
  }

  /** Reads on whoever holds it: at the end the peer's close frame is to be seen, or it would be cut after closeTimeoutMs. */
  release (): void {
    this.#released = true
    this.#limiter?.stop()
    if (this.#holds !== 0) this.#websocket.resume()
  }

  #isTaken (bytes: number): boolean {
    this.messagesRead++
    if (bytes <= this.maxMessageBytes) return this.#isAllowed(bytes)
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

function onMessage (this: WebSocket, data: RawData, binary: boolean): void {
  // ws gives one Buffer as long as its binaryType is left alone.
  const buffer = data as Buffer
  if (binary) (this as Known)[kIntake].readBinary(buffer)
  else (this as Known)[kIntake].readText(buffer.toString(), buffer.length)
}

function onPing (this: WebSocket, data: Buffer): void {
  (this as Known)[kIntake].readControl('ping', data)
}

function onPong (this: WebSocket, data: Buffer): void {
  (this as Known)[kIntake].readControl('pong', data)
}

function onError (this: WebSocket, error: Error): void {
  (this as Known)[kIntake].fail(error)
}

function onClose (this: WebSocket, code: number, reason: Buffer): void {
  (this as Known)[kIntake].closed(code, reason.toString())
}

/** A message is a view into what was read, 64 KiB at most: a small one that waits would keep all of that. */
export function copyOfSmall (data: Buffer): Buffer {
  if (data.length * 2 >= data.buffer.byteLength) return data
  const copy = Buffer.allocUnsafeSlow(data.length)
  data.copy(copy)
  return copy
}
