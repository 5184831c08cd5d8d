import type { EventLoop, TurnTask } from '../event-loop.ts'

export interface Letter {
  /** Payload bytes that this letter keeps in memory. */
  readonly bytes: number
}

/** Marks at which reading stops: letters that wait, and bytes that they hold. It starts again at half of both. */
export interface MailboxLimits {
  readonly maxMailboxLength: number
  readonly maxMailboxBytes: number
}

export interface MailboxOwner<L extends Letter> {
  readonly limits: MailboxLimits
  readonly sharing: { readonly loop: Pick<EventLoop, 'atEndOfTurn'> }
  /** Handles one letter; must not throw or reject. A promise is waited for, and nothing else starts meanwhile. */
  deliver (letter: L): Promise<void> | void
  /** True: a mark is reached, stop reading. False: read on. */
  holdReading (full: boolean): void
}

/**
 * One letter at a time, in the order they came. A letter for an idle mailbox is handled at once, without a promise.
 */
export class Mailbox<L extends Letter> implements TurnTask {
  readonly #owner: MailboxOwner<L>
  /** Those that wait, from `#head` on: a ring would be smaller, but this is faster to grow, and absent almost always. */
  #letters: Array<L | undefined> | undefined
  #head = 0
  #bytes = 0
  /** Those that were offered in this turn; at its end the first `#posted` of them have been posted. */
  #staged: L[] | undefined
  #posted = 0
  #stagedBytes = 0
  #busy = false
  #full = false
  #closed: false | 'retained' | 'dropped' = false

  constructor (owner: MailboxOwner<L>) {
    this.#owner = owner
  }

  /** Letters that wait, those included that wait for the end of this turn. The one being handled does not count. */
  get length (): number {
    return this.#queued + (this.#staged === undefined ? 0 : this.#staged.length - this.#posted)
  }

  get #queued (): number {
    return this.#letters === undefined ? 0 : this.#letters.length - this.#head
  }

  /** A callback is running. */
  get busy (): boolean {
    return this.#busy
  }

  /** Closed, and what waited was dropped. */
  get dropped (): boolean {
    return this.#closed === 'dropped'
  }

  /** Takes what came over the wire. Never refuses: reading stops instead, and one read more may follow. */
  post (letter: L): void {
    if (this.#closed) return
    if (this.#busy) this.#enqueue(letter)
    else this.#run(letter)
  }

  /**
   * Takes a letter from inside. It stands behind everything that this turn of the event loop reads, and never
   * runs inside its sender. False, and nothing kept, when the mailbox is full or closed: by count, and for letters with bytes by those.
   */
  offer (letter: L): boolean {
    if (this.#closed || this.length >= this.#owner.limits.maxMailboxLength) return false
    if (letter.bytes > 0 && this.#bytes + this.#stagedBytes >= this.#owner.limits.maxMailboxBytes) return false
    this.#stagedBytes += letter.bytes
    if (this.#staged !== undefined) this.#staged.push(letter)
    else {
      this.#staged = [letter]
      this.#owner.sharing.loop.atEndOfTurn(this)
    }
    return true
  }

  endTurn (): void {
    const staged = this.#staged ?? []
    // They count as waiting until each is posted; what is offered meanwhile has the next turn. Not by shift, which moves all
    // of a long list each time.
    const due = staged.length
    while (this.#posted < due && !this.#closed) {
      const letter = staged[this.#posted++] as L
      this.#stagedBytes -= letter.bytes
      this.post(letter)
    }
    this.#posted = 0
    this.#staged = staged.length > due && !this.#closed ? staged.slice(due) : undefined
    if (this.#staged !== undefined) this.#owner.sharing.loop.atEndOfTurn(this)
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
    const kept = letters?.filter(isKept) ?? []
    this.#letters = kept.length > 0 ? kept : undefined
    this.#head = 0
    this.#bytes = kept.reduce((bytes, letter) => bytes + letter.bytes, 0)
  }

  #enqueue (letter: L): void {
    if (this.#letters === undefined) this.#letters = [letter]
    else this.#letters.push(letter)
    this.#bytes += letter.bytes
    const { maxMailboxLength, maxMailboxBytes } = this.#owner.limits
    if (!this.#full && (this.#queued >= maxMailboxLength || this.#bytes >= maxMailboxBytes)) {
      this.#full = true
      this.#owner.holdReading(true)
    }
  }

  #run (first: L): void {
    this.#busy = true
    for (let letter: L | undefined = first; letter !== undefined; letter = this.#shift()) {
      const running = this.#owner.deliver(letter)
      if (running !== undefined) {
        void running.then(() => this.#runNext())
        return
      }
    }
    this.#busy = false
  }

  #runNext (): void {
    const letter = this.#shift()
    if (letter === undefined) this.#busy = false
    else this.#run(letter)
  }

  #shift (): L | undefined {
    const letters = this.#letters
    const letter = letters?.[this.#head]
    if (letters === undefined || letter === undefined) return undefined
    // Handled, it must not be kept until the array goes.
    letters[this.#head++] = undefined
    this.#bytes -= letter.bytes
    if (this.#head === letters.length) {
      this.#letters = undefined
      this.#head = 0
    } else if (this.#head >= 1024 && this.#head * 2 >= letters.length) {
      this.#letters = letters.slice(this.#head)
      this.#head = 0
    }
    const { maxMailboxLength, maxMailboxBytes } = this.#owner.limits
    if (this.#full && this.#queued * 2 <= maxMailboxLength && this.#bytes * 2 <= maxMailboxBytes) {
      this.#full = false
      this.#owner.holdReading(false)
    }
    return letter
  }
}
