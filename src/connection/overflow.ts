import { FST_WEBSOCK_MAILBOX_FULL } from '../errors.ts'
import type { EventLoop, TickTask } from '../event-loop.ts'
import { writeLog, type Log } from '../log.ts'
import { closeCodes } from '../wire/close-codes.ts'

export interface OverflowOwner {
  readonly limits: { readonly infoOverflow: 'close' | 'drop', readonly maxMailboxInfos: number }
  readonly sharing: { readonly loop: Pick<EventLoop, 'atEndOfTick'> }
  readonly logOf: Log
  readonly traffic: { infosDropped: number, messagesDropped: number }
  /** The connection has begun to end. */
  readonly ending: boolean
  /** Ends the connection with that close code (`infoOverflow: 'close'`). */
  failed (error: Error, code: number): void
}

/**
 * The kind of refused letters: infos, or messages that wait for a slow peer (`slowPeer: 'wait'`).
 */
type Refused = 'infos' | 'messages'

/**
 * Handles infos that a full mailbox has refused (`infoOverflow`). Created at the first one of a
 * connection.
 */
export class Overflow implements TickTask {
  /** Dropped so far (`infoOverflow: 'drop'`). */
  dropped = 0
  readonly #owner: OverflowOwner
  #refused: Refused | undefined

  constructor (owner: OverflowOwner) {
    this.#owner = owner
  }

  /**
   * Counts a refused info or message. With `close`, the connection ends at the end of the tick, so
   * that no handler runs within the call that offers an info.
   */
  refuse (what: Refused): void {
    if (this.#owner.limits.infoOverflow === 'drop') {
      this.#owner.traffic[what === 'infos' ? 'infosDropped' : 'messagesDropped']++
      if (++this.dropped === 1) this.#warn(what, 'infos are dropped')
    } else if (this.#refused === undefined) {
      this.#refused = what
      this.#owner.sharing.loop.atEndOfTick(this)
    }
  }

  endTick (): void {
    if (this.#owner.ending) return
    this.#owner.failed(
      this.#warn(this.#refused ?? 'infos', 'the connection is closed'),
      closeCodes.tryAgainLater
    )
  }

  #warn (what: Refused, consequence: string): Error {
    const error = new FST_WEBSOCK_MAILBOX_FULL(what === 'infos'
      ? `${this.#owner.limits.maxMailboxInfos} infos wait, as many as \`maxMailboxInfos\` allows`
      : 'messages that wait for a slow reader reach `maxMailboxLength` or `maxMailboxBytes`')
    writeLog(this.#owner.logOf, 'warn', { err: error }, `the mailbox is full: ${consequence}`)
    return error
  }
}
