import type { WebSocket } from 'ws'
import type { OutgoingFrame } from '../wire/frame.ts'

/** The one door out of a connection. */
export class Outbox {
  readonly #websocket: WebSocket
  readonly #maxBufferedBytes: number

  constructor (websocket: WebSocket, maxBufferedBytes: number) {
    this.#websocket = websocket
    this.#maxBufferedBytes = maxBufferedBytes
  }

  get bufferedBytes (): number {
    return this.#websocket.bufferedAmount
  }

  /**
   * Hands a frame to the socket. False, and nothing sent, when more than `maxBufferedBytes` wait already:
   * so a peer that never reads costs that and one message at most.
   */
  send (frame: OutgoingFrame): boolean {
    // The peer has closed, and `close` comes when TCP has ended: until then ws would count what nobody sends as buffered.
    if (this.#websocket.readyState !== this.#websocket.OPEN) return true
    if (this.#websocket.bufferedAmount > this.#maxBufferedBytes) return false
    if (frame.opcode === 'ping') this.#websocket.ping(frame.data)
    else this.#websocket.send(frame.data, { binary: frame.opcode === 'binary' })
    return true
  }
}
