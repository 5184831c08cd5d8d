import { atEndOfTurn } from './turn.ts'

export interface Letter {
  /** Payload bytes that this letter keeps in memory. */
  readonly bytes: number
}

export interface MailboxOptions<L extends Letter> {
  /** Marks at which reading stops: letters that wait, and bytes that they hold. It starts again at half of both. */
  readonly maxLength: number
  readonly maxBytes: number
  /** Handles one letter; must not throw or reject. A promise is waited for, and nothing else starts meanwhile. */
  readonly deliver: (letter: L) => Promise<void> | void
  /** True: a mark is reached, stop reading. False: read on. */
  readonly onFull: (full: boolean) => void
}

/**
 * One letter at a time, in the order they came. A letter for an idle mailbox is handled at once, without a promise.
 */
export class Mailbox<L extends Letter> {
  readonly #options: MailboxOptions<L>
  // A ring would be smaller; an array with a head index is faster to grow, and short almost always.
  #letters: Array<L | undefined> = []
  #head = 0
  #bytes = 0
  #staged = 0
  #busy = false
  #full = false
  #closed = false

  constructor (options: MailboxOptions<L>) {
    this.#options = options
  }

  /** Letters that wait, those included that wait for the end of this turn. The one being handled does not count. */
  get length (): number {
    return this.#queued + this.#staged
  }

  get #queued (): number {
    return this.#letters.length - this.#head
  }

  /** A callback is running. */
  get busy (): boolean {
    return this.#busy
  }

  /** Takes what came over the wire. Never refuses: reading stops instead, and one read more may follow. */
  post (letter: L): void {
    if (this.#closed) return
    if (this.#busy) this.#enqueue(letter)
    else this.#run(letter)
  }

  /**
   * Takes a letter from inside. It stands behind everything that this turn of the event loop reads, and never
   * runs inside its sender. False, and nothing kept, when the mailbox is full or closed.
   */
  offer (letter: L): boolean {
    if (this.#closed || this.length >= this.#options.maxLength) return false
    this.#staged++
    atEndOfTurn(() => {
      this.#staged--
      this.post(letter)
    })
    return true
  }

  /** Drops the letters that wait and takes no more. The running callback goes on. */
  close (): void {
    this.#closed = true
    this.#letters = []
    this.#head = 0
    this.#bytes = 0
  }

  #enqueue (letter: L): void {
    this.#letters.push(letter)
    this.#bytes += letter.bytes
    const { maxLength, maxBytes, onFull } = this.#options
    if (!this.#full && (this.#queued >= maxLength || this.#bytes >= maxBytes)) {
      this.#full = true
      onFull(true)
    }
  }

  #run (first: L): void {
    this.#busy = true
    for (let letter: L | undefined = first; letter !== undefined; letter = this.#shift()) {
      const running = this.#options.deliver(letter)
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
    const letter = this.#letters[this.#head]
    if (letter === undefined) return undefined
    // Handled, it must not be kept until the array goes.
    this.#letters[this.#head++] = undefined
    this.#bytes -= letter.bytes
    if (this.#head === this.#letters.length) {
      this.#letters = []
      this.#head = 0
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#letters.length) {
      this.#letters = this.#letters.slice(this.#head)
      this.#head = 0
    }
    const { maxLength, maxBytes, onFull } = this.#options
    if (this.#full && this.#queued * 2 <= maxLength && this.#bytes * 2 <= maxBytes) {
      this.#full = false
      onFull(false)
    }
    return letter
  }
}
