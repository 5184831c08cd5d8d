import { setMaxListeners } from 'node:events'
import { FST_WEBSOCK_CALLBACK_TIMEOUT } from '../errors.ts'
import { closeCodes } from '../wire/close-codes.ts'
import type { Awaitable, TerminateReason } from './result.ts'

export interface EndingOwner {
  readonly limits: {
    /** Time limit of an async `init`, in ms. */
    readonly initTimeoutMs: number
    /**
     * Time limits of the running callback after the end has begun, and then of `terminate`, in ms.
     */
    readonly terminateTimeoutMs: number
  }
  /** The running callback or task, for a log line. */
  readonly running: string | undefined
  /** Drops the waiting letters. */
  dropLetters (): void
  terminate (reason: TerminateReason): Awaitable<void>
  report (error: unknown, callback: string): void
  /** Ends the connection with an error. */
  failed (error: unknown, code: number): void
  /** Ends the connection because the server closes. */
  shutDownNow (): void
  /** `init` has returned, and the connection has not begun to end. */
  opened (): void
  /** The connection begins to end. Called once. */
  ends (): void
  /**
   * Called once, when the socket is closed and `terminate` has settled or exceeded its time limit.
   */
  ended (): void
}

/**
 * The end of one connection: aborts the signal, waits for the running callback and tasks, calls
 * `terminate` exactly once, and reports that the connection has ended.
 *
 * `terminate` needs a state, so it is called only after `init` has returned.
 */
export class Ending {
  readonly #owner: EndingOwner
  #reason: TerminateReason | undefined
  #abort: AbortController | undefined
  #initReturned = false
  #terminated = false
  #terminateSettled = false
  #socketClosed = false
  #ended = false
  #timer: NodeJS.Timeout | undefined
  #initTimer: NodeJS.Timeout | undefined

  constructor (owner: EndingOwner) {
    this.#owner = owner
  }

  get begun (): boolean {
    return this.#reason !== undefined
  }

  get reason (): TerminateReason | undefined {
    return this.#reason
  }

  /** `init` has returned. */
  get hasState (): boolean {
    return this.#initReturned
  }

  get signal (): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      // A handler may add a listener for each wait, so many listeners are not a leak.
      setMaxListeners(0, this.#abort.signal)
      if (this.begun) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /**
   * Starts the time limit of `init`, which has returned a promise. Not while the connection ends:
   * then `terminateTimeoutMs` is the limit.
   */
  awaitInit (): void {
    if (this.begun) return
    const { initTimeoutMs } = this.#owner.limits
    this.#initTimer = setTimeout(() => {
      const error = new FST_WEBSOCK_CALLBACK_TIMEOUT('init', initTimeoutMs)
      this.#owner.report(error, 'init')
      this.#owner.failed(error, closeCodes.internalError)
    }, initTimeoutMs)
  }

  initSettled (): void { clearTimeout(this.#initTimer) }

  /** Called when `init` has returned: the connection has a state. */
  initReturned (): void {
    this.#initReturned = true
    if (!this.begun) this.#owner.opened()
  }

  /** Begins the end by `shutDownNow` when `terminateTimeoutMs` have passed, if not before. */
  delay (): void {
    this.#timer = setTimeout(() => {
      this.#owner.shutDownNow()
      this.#giveUpWork()
    }, this.#owner.limits.terminateTimeoutMs)
  }

  /** Begins the end. `busy`: `terminate` is called after `workEnded`, or after its time limit. */
  begin (reason: TerminateReason, busy: boolean): void {
    this.#reason = reason
    clearTimeout(this.#timer)
    clearTimeout(this.#initTimer)
    this.#owner.ends()
    this.#abort?.abort()
    if (!busy) return this.#terminate()
    this.#timer = setTimeout(() => this.#giveUpWork(), this.#owner.limits.terminateTimeoutMs)
  }

  /** Stops waiting for the running callback or task. */
  #giveUpWork (): void {
    if (this.#terminated) return
    clearTimeout(this.#timer)
    this.#owner.dropLetters()
    const { running, limits } = this.#owner
    if (running !== undefined) {
      const error = new FST_WEBSOCK_CALLBACK_TIMEOUT(running, limits.terminateTimeoutMs)
      this.#owner.report(error, running)
    }
    // Without a state `terminate` cannot run. It runs when `init` returns, but is not awaited.
    if (this.#initReturned) this.#terminate()
    else this.#settle()
  }

  /** Called when all work is done that ran or waited when the end began. */
  workEnded (): void {
    // Too late: the timer now belongs to `terminate`.
    if (this.#terminated) return
    clearTimeout(this.#timer)
    this.#terminate()
  }

  socketClosed (): void {
    this.#socketClosed = true
    this.#endWhenDone()
  }

  #terminate (): void {
    if (this.#terminated || this.#reason === undefined) return
    this.#terminated = true
    if (!this.#initReturned) return this.#settle()
    try {
      const running = this.#owner.terminate(this.#reason)
      if (running === undefined) this.#settle()
      else this.#wait(running)
    } catch (error) {
      this.#owner.report(error, 'terminate')
      this.#settle()
    }
  }

  #wait (running: PromiseLike<void>): void {
    this.#timer = setTimeout(() => {
      this.#owner.report(
        new FST_WEBSOCK_CALLBACK_TIMEOUT('terminate', this.#owner.limits.terminateTimeoutMs),
        'terminate'
      )
      this.#settle()
    }, this.#owner.limits.terminateTimeoutMs)
    Promise.resolve(running)
      .catch((error: unknown) => this.#owner.report(error, 'terminate'))
      .finally(() => this.#settle())
  }

  #settle (): void {
    clearTimeout(this.#timer)
    this.#terminateSettled = true
    this.#endWhenDone()
  }

  #endWhenDone (): void {
    if (!this.#terminateSettled || !this.#socketClosed || this.#ended) return
    this.#ended = true
    this.#owner.ended()
  }
}
