import type { WebSocket } from 'ws'
import type { OutgoingFrame } from '../wire/frame.ts'

/** What a slow reader gets: an end with 1013; messages left out, and counted; or a mailbox that stands still meanwhile. */
export type SlowPeerPolicy = 'close' | 'drop' | 'wait'

/** What a frame costs that the socket has not taken, besides its bytes: two buffers, two entries of Node's queue. */
const FRAME_OVERHEAD = 256

/** The one door out of a connection. */
export class Outbox {
  readonly #websocket: WebSocket
  readonly #maxBufferedBytes: number
  readonly #wait: boolean
  /** Frames that were sent while others waited, and wait themselves. */
  #waiting = 0
  #onSent: (() => void) | undefined
  #onDrained: (() => void) | undefined

  constructor (websocket: WebSocket, maxBufferedBytes: number, policy: SlowPeerPolicy) {
    this.#websocket = websocket
    this.#maxBufferedBytes = maxBufferedBytes
    this.#wait = policy === 'wait'
  }

  get bufferedBytes (): number {
    return this.#websocket.bufferedAmount
  }

  /** With `wait`: more waits than the mark allows, so nothing else is to be handled now. */
  get clogged (): boolean {
    return this.#wait && this.#held > this.#maxBufferedBytes
  }

  /**
   * Hands a frame to the socket. False, and nothing sent, when more than `maxBufferedBytes` wait already: so a peer that
   * never reads costs that and one message at most; with `wait`, which sends nevertheless, that and one result.
   */
  send (frame: OutgoingFrame): boolean {
    // The peer has closed, and `close` comes when TCP has ended: until then ws would count what nobody sends as buffered.
    if (this.#websocket.readyState !== this.#websocket.OPEN) return true
    if (!this.#wait && this.#held > this.#maxBufferedBytes) return false
    const onSent = this.#wait || this.bufferedBytes > 0 ? this.#count() : undefined
    if (frame.opcode === 'ping') this.#websocket.ping(frame.data, false, onSent)
    else this.#websocket.send(frame.data, { binary: frame.opcode === 'binary' }, onSent)
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

  get #held (): number {
    return this.bufferedBytes + this.#waiting * FRAME_OVERHEAD
  }

  /** Only while something waits: otherwise a frame is the kernel's at once, and needs no callback. */
  #count (): () => void {
    this.#waiting++
    // Called when the frame has left, and with an error when it never will.
    return (this.#onSent ??= () => {
      this.#waiting--
      if (this.#held * 2 <= this.#maxBufferedBytes) this.stopWaiting()
    })
  }
}
