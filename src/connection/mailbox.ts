import { AsyncContext } from '../async-context.ts'
import type { EventLoop, TurnTask } from '../event-loop.ts'

export interface Letter {
  /** Payload bytes of a frame. Letters that are not frames have none. */
  readonly bytes?: number
  /**
   * True for a system message, which is never refused. All other letters without `bytes` are infos.
   */
  readonly isSystem?: true
}

export interface MailboxLimits {
  /**
   * Limits of waiting frames and their bytes: reading stops when one is reached, and resumes at
   * half of both.
   */
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
  /** Limit of waiting infos: more are refused. */
  readonly maxMailboxInfos: number
}

export interface MailboxOwner<L extends Letter> {
  readonly limits: MailboxLimits
  readonly sharing: { readonly loop: Pick<EventLoop, 'atEndOfTurn'> }
  /**
   * Handles one letter. Must not throw. False: the letter is still being handled. The owner calls
   * `Mailbox.next` later, and nothing else starts before that.
   */
  deliver (letter: L): boolean
  /** True: a limit is reached, pause reading. False: resume reading. */
  holdReading (full: boolean): void
  /** True: `LONG_MAILBOX` letters wait. False: the mailbox has become empty. */
  mailboxIsLong (isLong: boolean): void
}

/** Number of waiting letters from which `stats()` lists a mailbox. */
export const LONG_MAILBOX = 16

/**
 * Delivers letters one at a time, in order. A letter for an idle mailbox is handled synchronously,
 * without a promise.
 *
 * Letters are handled in the async context in which the mailbox was created. It is entered once for
 * each read, and once for all letters that are handled in a row.
 */
export class Mailbox<L extends Letter> extends AsyncContext implements TurnTask {
  readonly #owner: MailboxOwner<L>
  /**
   * The waiting letters, from `#head` on. A ring buffer would be smaller, but an array grows
   * faster, and it is undefined most of the time.
   */
  #letters: Array<L | undefined> | undefined
  #head = 0
  /** Numbers of waiting frames, of their bytes, and of waiting infos. */
  #frames = 0
  #bytes = 0
  #infos = 0
  /** Letters offered in this turn. They are put behind the others at its end. */
  #staged: L[] | undefined
  #busy = false
  #full = false
  /** The owner has been notified that the mailbox is long. */
  #long = false
  #closed: false | 'retained' | 'dropped' = false

  constructor (owner: MailboxOwner<L>) {
    super()
    this.#owner = owner
  }

  /**
   * Number of waiting letters, including those offered in this turn, without the one being handled.
   */
  get length (): number {
    return (
      (this.#letters === undefined ? 0 : this.#letters.length - this.#head) +
      (this.#staged?.length ?? 0)
    )
  }

  /** A letter is being handled, or the owner delays the next one. */
  get busy (): boolean {
    return this.#busy
  }

  /** The mailbox takes no more letters. */
  get closed (): boolean {
    return this.#closed !== false
  }

  /** The mailbox is closed, and the waiting letters were dropped. */
  get dropped (): boolean {
    return this.#closed === 'dropped'
  }

  /**
   * Adds a frame. Call it in the context of this mailbox. Never refuses: reading is paused instead,
   * and the rest of the current read may follow.
   */
  post (letter: L & { readonly bytes: number }): void {
    if (this.#closed) return
    if (this.#busy) this.#enqueue(letter)
    else this.#run(letter)
  }

  /**
   * Adds a letter that is not a frame. It is handled after everything that is read in this turn of
   * the event loop, and never within the call. Returns false when the mailbox is closed, or is full
   * of infos and this is one.
   */
  offer (letter: L): boolean {
    if (this.#closed) return false
    if (letter.isSystem !== true) {
      if (this.#infos >= this.#owner.limits.maxMailboxInfos) return false
      this.#infos++
    }
    if (this.#staged !== undefined) this.#staged.push(letter)
    else {
      this.#staged = [letter]
      this.#owner.sharing.loop.atEndOfTurn(this)
    }
    return true
  }

  endTurn (): void {
    const staged = this.#staged
    this.#staged = undefined
    if (staged === undefined) return
    if (this.#letters === undefined) this.#letters = staged
    else for (const letter of staged) this.#letters.push(letter)
    if (!this.#busy) this.next()
    this.#watch()
  }

  /** Drops the waiting letters and takes no more. The running callback continues. */
  close (): void {
    this.retain(() => false)
    this.#closed = 'dropped'
  }

  /** Takes no more letters, and keeps only some of the waiting ones. */
  retain (isKept: (letter: L) => boolean): void {
    this.#closed = 'retained'
    this.#staged = undefined
    const letters = this.#letters?.slice(this.#head) as L[] | undefined
    this.#letters = undefined
    this.#head = this.#frames = this.#bytes = this.#infos = 0
    for (const letter of letters ?? []) if (isKept(letter)) this.#add(letter)
    this.#watch()
  }

  #enqueue (letter: L): void {
    this.#add(letter)
    const { maxMailboxLength, maxMailboxBytes } = this.#owner.limits
    if (!this.#full && (this.#frames >= maxMailboxLength || this.#bytes >= maxMailboxBytes)) {
      this.#full = true
      this.#owner.holdReading(true)
    }
    this.#watch()
  }

  /** Notifies the owner when many letters wait, and when none do any more. */
  #watch (): void {
    if (this.#letters === undefined) {
      if (!this.#long) return
      this.#long = false
      this.#owner.mailboxIsLong(false)
    } else if (!this.#long && this.#letters.length - this.#head >= LONG_MAILBOX) {
      this.#long = true
      this.#owner.mailboxIsLong(true)
    }
  }

  #add (letter: L): void {
    if (this.#letters === undefined) this.#letters = [letter]
    else this.#letters.push(letter)
    this.#count(letter, 1)
  }

  #count ({ bytes, isSystem }: L, by: 1 | -1): void {
    if (bytes !== undefined) {
      this.#frames += by
      this.#bytes += by * bytes
    } else if (isSystem !== true) this.#infos += by
  }

  #run (first: L): void {
    this.#busy = true
    for (let letter: L | undefined = first; letter !== undefined; letter = this.#shift()) {
      if (!this.#owner.deliver(letter)) return
    }
    this.#busy = false
  }

  /** Delivers the next letters. The owner calls it when an unfinished letter has been handled. */
  next (): void {
    const letter = this.#shift()
    if (letter === undefined) this.#busy = false
    else this.enter(this.#run, this, letter)
  }

  #shift (): L | undefined {
    const letters = this.#letters
    const letter = letters?.[this.#head]
    if (letters === undefined || letter === undefined) return undefined
    // Cleared, so that the array does not keep a handled letter.
    letters[this.#head++] = undefined
    this.#count(letter, -1)
    if (this.#head === letters.length) {
      this.#letters = undefined
      this.#head = 0
      this.#watch()
    } else if (this.#head >= 1024 && this.#head * 2 >= letters.length) {
      this.#letters = letters.slice(this.#head)
      this.#head = 0
    }
    const { maxMailboxLength, maxMailboxBytes } = this.#owner.limits
    if (this.#full && this.#frames * 2 <= maxMailboxLength && this.#bytes * 2 <= maxMailboxBytes) {
      this.#full = false
      this.#owner.holdReading(false)
    }
    return letter
  }
}
