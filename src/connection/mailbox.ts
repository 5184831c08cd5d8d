import { AsyncContext } from '../async-context.ts'
import type { EventLoop, TurnTask } from '../event-loop.ts'

export interface Letter {
  /** Payload bytes of a frame. Letters from inside have none. */
  readonly bytes?: number
  /** The library's own news, which is always taken. Other letters from inside are infos. */
  readonly isSystem?: true
}

export interface MailboxLimits {
  /**
   * Frames that wait, and their bytes: reading stops at these marks, and starts again at half of
   * both.
   */
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
  /** Infos that wait: more are refused. */
  readonly maxMailboxInfos: number
}

export interface MailboxOwner<L extends Letter> {
  readonly limits: MailboxLimits
  readonly sharing: { readonly loop: Pick<EventLoop, 'atEndOfTurn'> }
  /**
   * Handles one letter; must not throw. False: it is still being handled, `Mailbox.next` is called
   * later, and nothing else starts before that.
   */
  deliver (letter: L): boolean
  /** True: a mark is reached, stop reading. False: read on. */
  holdReading (full: boolean): void
  /** True: `LONG_MAILBOX` letters wait. False: later none do. */
  mailboxIsLong (isLong: boolean): void
}

/** Letters that wait in a mailbox that is worth a look. */
export const LONG_MAILBOX = 16

/**
 * One letter at a time, in the order they came. A letter for an idle mailbox is handled at once,
 * without a promise.
 *
 * Letters are handled in the async context in which the mailbox was made. It is entered once for
 * each read, and once for all letters that are handled in a row.
 */
export class Mailbox<L extends Letter> extends AsyncContext implements TurnTask {
  readonly #owner: MailboxOwner<L>
  /**
   * Those that wait, from `#head` on: a ring would be smaller, but this is faster to grow, and
   * absent almost always.
   */
  #letters: Array<L | undefined> | undefined
  #head = 0
  /** Of the letters that wait: frames, their bytes, and infos. */
  #frames = 0
  #bytes = 0
  #infos = 0
  /** Those that were offered in this turn: they are put behind the others at its end. */
  #staged: L[] | undefined
  #busy = false
  #full = false
  /** The owner has been told that it is long. */
  #long = false
  #closed: false | 'retained' | 'dropped' = false

  constructor (owner: MailboxOwner<L>) {
    super()
    this.#owner = owner
  }

  /**
   * Letters that wait, those included that wait for the end of this turn. The one being handled
   * does not count.
   */
  get length (): number {
    return (
      (this.#letters === undefined ? 0 : this.#letters.length - this.#head) +
      (this.#staged?.length ?? 0)
    )
  }

  /** A callback is running. */
  get busy (): boolean {
    return this.#busy
  }

  /** Closed, and what waited was dropped. */
  get dropped (): boolean {
    return this.#closed === 'dropped'
  }

  /**
   * Takes a frame. To be called in the context of this mailbox. Never refuses: reading stops
   * instead, and one read more may follow.
   */
  post (letter: L & { readonly bytes: number }): void {
    if (this.#closed) return
    if (this.#busy) this.#enqueue(letter)
    else this.#run(letter)
  }

  /**
   * Takes a letter from inside. It stands behind everything that this turn of the event loop reads,
   * and never runs inside its sender. False, and nothing kept, when the mailbox is closed, or full
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

  /** Drops the letters that wait and takes no more. The running callback goes on. */
  close (): void {
    this.retain(() => false)
    this.#closed = 'dropped'
  }

  /** Takes no more letters, and keeps only some of those that wait. */
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

  /** Tells the owner when many letters wait, and when none do any more. */
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

  /** The letter that the owner was still handling has been handled. */
  next (): void {
    const letter = this.#shift()
    if (letter === undefined) this.#busy = false
    else this.enter(this.#run, this, letter)
  }

  #shift (): L | undefined {
    const letters = this.#letters
    const letter = letters?.[this.#head]
    if (letters === undefined || letter === undefined) return undefined
    // Handled, it must not be kept until the array goes.
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
