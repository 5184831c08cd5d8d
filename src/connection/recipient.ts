import type { Socket } from 'node:net'
import { burst } from './burst.ts'
import type { ConnectionLimits } from './endpoint.ts'
import { batchesWait, type FrameBatch } from './frame-batch.ts'
import type { Outbox } from './outbox.ts'
import type { SharedFrame } from './shared-frame.ts'

/**
 * One of those whom a broadcast is sent to.
 *
 * To tell many takes as long as the kernel takes, and the processor to fetch what is looked at of each of them. So where nothing is
 * in the way that is this object and its socket, and none of the parts behind them.
 */
export abstract class Recipient {
  /** The socket, as long as it is open, and written without ws; never with `slowPeer: 'wait'`. */
  #direct: Socket | undefined
  /** Broadcasts that wait in the mailbox. */
  #waiting = 0

  abstract get limits (): ConnectionLimits
  protected abstract readonly outbox: Outbox
  /** False when it was not taken. */
  protected abstract offerShared (frame: SharedFrame): boolean
  protected abstract meetSlowPeer (): void

  /** What is shared may go straight to this socket, until `divert`. */
  protected direct (socket: Socket): void {
    // There broadcasts may wait in the mailbox, while the socket has nothing to send.
    if (this.limits.slowPeer !== 'wait') this.#direct = socket
  }

  divert (): void { this.#direct = undefined }

  /** Past the mailbox, unless that stands still for a slow peer, or has others that did. `more`: others may come in this tick. */
  sendShared (batch: FrameBatch, more: boolean): void {
    const socket = this.#direct
    if (socket !== undefined && !more && socket.writableLength === 0 && burst.empty && !batchesWait() && batch.length <= this.limits.maxBufferedBytes) {
      socket.write(batch.bytes)
    } else if (this.#waits || !this.outbox.sendBatch(batch, more)) {
      for (const frame of batch.frames) this.#sendOne(frame)
    }
  }

  protected sendWaiting (frame: SharedFrame): void {
    this.#waiting--
    this.outbox.sendShared(frame)
  }

  #sendOne (frame: SharedFrame): void {
    if (this.#waits) this.#waiting += this.offerShared(frame) ? 1 : 0
    else if (!this.outbox.sendShared(frame)) this.meetSlowPeer()
  }

  get #waits (): boolean { return this.#waiting > 0 || this.outbox.clogged }
}
