import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { OutgoingFrame } from '../wire/frame.ts'
import type { FramingTransport, Listener } from './transport.ts'

/** So that one function listens to all websockets: a closure for each would be a tenth of an idle connection. */
const kListener = Symbol('fastify-websock.listener')
type Known = (WebSocket | Duplex) & { [kListener]: Listener }

/** A socket that ws reads and writes. */
export class WsTransport implements FramingTransport {
  readonly #websocket: WebSocket

  /** To be called in the tick in which ws was made: a frame that finds no listener is lost. `socket`: the one that ws reads by itself. */
  constructor (websocket: WebSocket, listener: Listener, socket?: Duplex) {
    this.#websocket = websocket
    ;(websocket as Known)[kListener] = listener
    websocket.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('error', onError).on('close', onClose)
    if (socket === undefined) return
    ;(socket as Known)[kListener] = listener
    socket.prependListener('data', onData)
  }

  get open (): boolean { return this.#websocket.readyState === this.#websocket.OPEN }
  get plain (): false { return false }
  get compressed (): boolean { return this.#websocket.extensions !== '' }
  get bufferedBytes (): number { return this.#websocket.bufferedAmount }

  send (frame: OutgoingFrame, onSent: ((error?: Error) => void) | undefined): void {
    if (frame.opcode === 'ping') this.#websocket.ping(frame.data, false, onSent)
    else this.#websocket.send(frame.data, { binary: frame.opcode === 'binary' }, onSent)
  }

  pause (): void { this.#websocket.pause() }
  resume (): void { this.#websocket.resume() }
  close (code: number, reason: string): void { this.#websocket.close(code, reason) }
  terminate (): void { this.#websocket.terminate() }
}

// A flush before each read, and behind each message: ws reads on by itself, and the next frame may be one that it answers.

function onData (this: Duplex): void {
  (this as Known)[kListener].flush()
}

function onMessage (this: WebSocket, data: RawData, binary: boolean): void {
  // ws gives one Buffer as long as its binaryType is left alone.
  const buffer = data as Buffer
  const listener = (this as Known)[kListener]
  if (binary) listener.readBinary(buffer)
  else listener.readText(buffer.toString(), buffer.length)
  listener.flush()
}

function onPing (this: WebSocket, data: Buffer): void {
  readControl((this as Known)[kListener], 'ping', data)
}

function onPong (this: WebSocket, data: Buffer): void {
  readControl((this as Known)[kListener], 'pong', data)
}

function readControl (listener: Listener, opcode: 'ping' | 'pong', data: Buffer): void {
  listener.readControl(opcode, data)
  listener.flush()
}

function onError (this: WebSocket, error: Error): void {
  (this as Known)[kListener].fail(error)
}

function onClose (this: WebSocket, code: number, reason: Buffer): void {
  (this as Known)[kListener].closed(code, reason.toString())
}
