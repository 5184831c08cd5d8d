import { setMaxListeners } from 'node:events'
import { FST_WEBSOCK_CALLBACK_TIMEOUT } from '../errors.ts'
import type { Awaitable, TerminateReason } from './result.ts'

export interface EndingOwner {
  readonly limits: {
    /**
     * How long the running callback, and then `terminate`, may take before nobody waits for them
     * any more, in ms.
     */
    readonly terminateTimeoutMs: number
  }
  /** The callback or task that is running: what a log line calls it. */
  readonly running: string | undefined
  /** Letters that wait are not to be handled any more. */
  dropLetters (): void
  terminate (reason: TerminateReason): Awaitable<void>
  report (error: unknown, callback: string): void
  /** Called once, when `terminate` has settled or its time is up, and the socket is closed. */
  ended (): void
}

/**
 * How one connection ends: the signal, the wait for the running callback and tasks, `terminate`
 * exactly once, and gone.
 *
 * `terminate` needs a state, so it never runs before `init` returned, and never at all when `init`
 * failed.
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
      // One for each wait of a handler: many are no leak.
      setMaxListeners(0, this.#abort.signal)
      if (this.begun) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /** There is a state from now on. */
  initReturned (): void {
    this.#initReturned = true
  }

  /** `busy`: `terminate` waits for `workEnded`, for as long as it may. */
  begin (reason: TerminateReason, busy: boolean): void {
    this.#reason = reason
    this.#abort?.abort()
    if (!busy) return this.#terminate()
    this.#timer = setTimeout(() => {
      this.#owner.dropLetters()
      const { running, limits } = this.#owner
      if (running !== undefined) {
        this.#owner.report(
          new FST_WEBSOCK_CALLBACK_TIMEOUT(running, limits.terminateTimeoutMs),
          running
        )
      }
      // No state yet: `terminate` runs if `init` returns after all, but nobody waits for it.
      if (this.#initReturned) this.#terminate()
      else this.#settle()
    }, this.#owner.limits.terminateTimeoutMs)
  }

  /** What ran and waited when the connection began to end has been handled. */
  workEnded (): void {
    // Too late: the timer is that of `terminate` now.
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
