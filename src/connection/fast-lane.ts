import { isUtf8 } from 'node:buffer'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { closeCodes, isSendableCode } from '../wire/close-codes.ts'
import { burst } from './burst.ts'
import { FIRST_BYTES, writeHeader } from './frame-header.ts'
import { FrameReader, OPCODES } from './frame-reader.ts'
import type { Listener, PlainTransport } from './transport.ts'
import { WsTransport } from './ws-transport.ts'

/** What all lanes of a route share. */
export interface LaneEndpoint {
  readonly limits: { readonly maxMessageBytes: number, readonly closeTimeoutMs: number }
  /** Gives ws a socket whose 101 has been sent, in whatever state it is by now. */
  readonly openWebsocket: (socket: Socket) => WebSocket
}

/** ws, once it is there, and what it would have the socket call. */
interface Behind {
  readonly transport: WsTransport
  readonly give: ReadonlyArray<(this: Socket, chunk: Buffer) => void>
  readonly giveEnd: ReadonlyArray<(this: Socket) => void>
}

/** So that one function listens to all sockets. */
const kLane = Symbol('fastify-websock.fast-lane')
type Known = Socket & { [kLane]: FastLane }

/**
 * A socket that is read and written without ws, as long as its peer sends plain frames and closes as it should; ws is made
 * when the first other frame comes, or when we are to close. From then on it has every frame that is not a plain message.
 *
 * Of sockets only: any other stream may deliver what the peer sends, or what is sent to it, within the call that writes,
 * and so in the midst of a chunk, or of another connection's burst. Not for connections with an extension.
 */
export class FastLane extends FrameReader implements PlainTransport {
  readonly #socket: Socket
  readonly #listener: Listener
  readonly #endpoint: LaneEndpoint
  #behind: Behind | undefined
  /** While there is no ws. */
  #open = true
  /** What the peer has closed with. */
  #farewell: { readonly code: number, readonly reason: string } | undefined
  #timer: NodeJS.Timeout | undefined

  /** To be called in the tick of the 101. */
  constructor (socket: Socket, listener: Listener, endpoint: LaneEndpoint) {
    super()
    this.#socket = socket
    this.#listener = listener
    this.#endpoint = endpoint
    ;(socket as Known)[kLane] = this
    // The HTTP server may have set a time limit, and the application that small packets are to wait.
    socket.setTimeout(0).setNoDelay()
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
  }

  get plain (): true { return true }
  get open (): boolean { return this.#behind === undefined ? this.#open : this.#behind.transport.open }
  get bufferedBytes (): number { return this.#behind === undefined ? this.#socket.writableLength : this.#behind.transport.bufferedBytes }

  protected override get maxMessageBytes (): number { return this.#endpoint.limits.maxMessageBytes }
  protected override get messagesRead (): number { return this.#listener.messagesRead }

  pause (): void {
    if (this.#behind !== undefined) this.#behind.transport.pause()
    // Behind the peer's close frame only its FIN is to be read.
    else if (this.#open) this.#socket.pause()
  }

  resume (): void {
    if (this.#behind === undefined) this.#socket.resume()
    else this.#behind.transport.resume()
  }

  close (code: number, reason: string): void {
    this.#needWs()?.transport.close(code, reason)
  }

  terminate (): void {
    this.#shut()
    if (this.#behind === undefined) this.#socket.destroy()
    else this.#behind.transport.terminate()
  }

  /** FIN has come. */
  end (): void {
    // It may be told in the tick of the last bytes, and nothing can be written after it.
    this.#listener.flush()
    if (this.#behind === undefined) {
      this.#shut()
      if (!this.#socket.writableEnded) this.#socket.end()
    } else if (this.reading || !this.#socket.writableEnded) {
      // Otherwise the closing handshake is done: ws would end once more what it has ended, and Node make two errors of that, each
      // with a stack.
      for (const giveEnd of this.#behind.giveEnd) giveEnd.call(this.#socket)
    }
  }

  fail (): void {
    if (this.#behind !== undefined) return
    this.#shut()
    this.#socket.destroy()
  }

  gone (): void {
    if (this.#behind !== undefined) return
    this.#shut()
    clearTimeout(this.#timer)
    // What came while nothing was read: the peer's close frame may be in it, or what it did wrong.
    if (this.reading && this.#socket.readableLength > 0) this.#giveRest()
    else this.#listener.closed(this.#farewell?.code ?? closeCodes.abnormal, this.#farewell?.reason ?? '')
  }

  protected override takeText (text: string, bytes: number): void { this.#listener.readText(text, bytes) }
  protected override takeBinary (data: Buffer): void { this.#listener.readBinary(data) }

  protected override takeControl (opcode: number, data: Buffer): boolean {
    if (this.#behind !== undefined) return false
    if (opcode === OPCODES.close) return this.#takeClose(data)
    if (opcode === OPCODES.ping) {
      // ws counts the pongs that do not leave, and cuts a peer that lets too many wait.
      if (this.#socket.writableLength > 0) return false
      this.#listener.sendPong(data)
    }
    this.#listener.readControl(opcode === OPCODES.ping ? 'ping' : 'pong', data)
    return true
  }

  protected override hand (bytes: Buffer): void {
    this.#listener.flush()
    for (const give of this.#needWs()?.give ?? []) give.call(this.#socket, bytes)
  }

  /** The closing handshake, begun by the peer (RFC 6455 §5.5.1). What is wrong with a close frame is for ws to say. */
  #takeClose (data: Buffer): boolean {
    // We may close it for what waits: then ws is there, and has sent our close frame.
    this.#listener.flush()
    if (this.#behind !== undefined) return false
    const code = data.length === 0 ? closeCodes.noCode : data.length === 1 ? 0 : data.readUInt16BE()
    if (data.length > 0 && (!isSendableCode(code) || !isUtf8(data.subarray(2)))) return false
    this.#farewell = { code, reason: data.toString('utf8', 2) }
    this.stop()
    if (this.#open) this.#answerClose(data)
    return true
  }

  #answerClose (data: Buffer): void {
    this.#shut()
    const frame = Buffer.allocUnsafe(2 + data.length)
    frame.set(data, writeHeader(frame, 0, FIRST_BYTES.close, data.length))
    this.#socket.end(frame)
    this.#socket.resume()
    this.#timer = setTimeout(destroy, this.#endpoint.limits.closeTimeoutMs, this.#socket)
  }

  #needWs (): Behind | undefined {
    if (this.#behind === undefined && this.#open) this.#behind = this.#makeWs()
    return this.#behind
  }

  #shut (): void {
    this.#open = false
    this.#listener.divert()
  }

  #makeWs (): Behind {
    const socket = this.#socket
    this.#listener.divert()
    const [readers, enders] = [socket.listenerCount('data'), socket.listenerCount('end')]
    const websocket = this.#endpoint.openWebsocket(socket)
    // It has failed: it reads no more, and would pause the socket.
    websocket.on('error', () => this.stop())
    const transport = new WsTransport(websocket, this.#listener)
    if (socket.isPaused()) transport.pause()
    return { transport, give: takeOver(socket, 'data', readers), giveEnd: takeOver(socket, 'end', enders) }
  }

  /** ws reads what it finds when its socket closes. */
  #giveRest (): void {
    const before = this.#socket.listenerCount('close')
    this.#behind = this.#makeWs()
    for (const giveClose of takeOver(this.#socket, 'close', before)) giveClose.call(this.#socket)
  }
}

/** Takes the listeners off that came behind the first so many, which may be the application's, and gives them. */
function takeOver (socket: Socket, event: string, before: number): Array<(this: Socket, ...args: unknown[]) => void> {
  const added = socket.listeners(event).slice(before) as Array<(this: Socket, ...args: unknown[]) => void>
  for (const listener of added) socket.off(event, listener)
  return added
}

function destroy (socket: Socket): void {
  socket.destroy()
}

function onData (this: Socket, chunk: Buffer): void {
  burst.beginRead(chunk.length)
  try {
    (this as Known)[kLane].read(chunk)
  } finally {
    burst.endRead()
  }
}

function onEnd (this: Socket): void { (this as Known)[kLane].end() }
function onError (this: Socket): void { (this as Known)[kLane].fail() }
function onClose (this: Socket): void { (this as Known)[kLane].gone() }
