import type { WebSocket } from 'ws'
import type { OutgoingFrame } from '../wire/frame.ts'

/** What a slow reader gets: an end with 1013; messages left out, and counted; or a mailbox that stands still meanwhile. */
export type SlowPeerPolicy = 'close' | 'drop' | 'wait'

/** The one door out of a connection. */
export class Outbox {
  readonly #websocket: WebSocket
  readonly #maxBufferedBytes: number
  /** With `wait`: called for each frame that has left, and with an error for each that never will. */
  readonly #onSent: (() => void) | undefined
  #onDrained: (() => void) | undefined

  constructor (websocket: WebSocket, maxBufferedBytes: number, policy: SlowPeerPolicy) {
    this.#websocket = websocket
    this.#maxBufferedBytes = maxBufferedBytes
    this.#onSent = policy === 'wait' ? () => { if (this.bufferedBytes * 2 <= maxBufferedBytes) this.stopWaiting() } : undefined
  }

  get bufferedBytes (): number {
    return this.#websocket.bufferedAmount
  }

  /** With `wait`: more waits than the mark allows, so nothing else is to be handled now. */
  get clogged (): boolean {
    return this.#onSent !== undefined && this.bufferedBytes > this.#maxBufferedBytes
  }

  /**
   * Hands a frame to the socket. False, and nothing sent, when more than `maxBufferedBytes` wait already: so a peer that
   * never reads costs that and one message at most; with `wait`, which sends nevertheless, that and one result.
   */
  send (frame: OutgoingFrame): boolean {
    // The peer has closed, and `close` comes when TCP has ended: until then ws would count what nobody sends as buffered.
    if (this.#websocket.readyState !== this.#websocket.OPEN) return true
    if (this.#onSent === undefined && this.bufferedBytes > this.#maxBufferedBytes) return false
    if (frame.opcode === 'ping') this.#websocket.ping(frame.data, false, this.#onSent)
    else this.#websocket.send(frame.data, { binary: frame.opcode === 'binary' }, this.#onSent)
    return true
  }

  /** Resolves when half of the mark waits at most, or nobody is to wait for it any more. */
  async drained (): Promise<void> {
    await new Promise<void>((resolve) => { this.#onDrained = resolve })
  }

  stopWaiting (): void {
    this.#onDrained?.()
    this.#onDrained = undefined
  }
}
