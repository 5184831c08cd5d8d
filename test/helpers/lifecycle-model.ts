/** The behaviour of a callback. An async callback ends at `release`. */
export interface Script {
  readonly async: boolean
  /** The number of infos that it posts to its own connection as it ends. */
  readonly infos: number
  readonly outcome:
    | 'nothing'
    | 'ok'
    | 'push'
    | 'list'
    | 'stop'
    | 'detail'
    | 'error'
    | 'throw'
    | 'unsendable'
    | 'no result'
    | 'bad code'
}

/** An operation on a connection. The frames of one packet are read together. */
export type Op =
  | {
    readonly type: 'packet'
    readonly letters: ReadonlyArray<Script & { readonly kind: 'frame' | 'fragments' | 'ping' }>
    readonly close: boolean
  }
  | { readonly type: 'info' | 'timer', readonly script: Script }
  | { readonly type: 'release' | 'ticks' | 'drain' | 'unmasked' | 'bad text' | 'fin' | 'reset' }
  | { readonly type: 'close', readonly code: number | undefined }

export interface Letter {
  readonly kind: string
  readonly id: string
  readonly script: Script
}

export const INFO: Script = { async: false, infos: 0, outcome: 'push' }

/**
 * A model of one connection, from the contract: the calls of callbacks with their states, and the
 * frames on the wire.
 */
export class LifeModel {
  readonly log: string[] = []
  readonly wire: string[] = []
  running: Letter | undefined
  ended = false
  /** The server ends the connection when the running callback has finished. */
  #drains = false
  #waiting: Letter[] = []
  #staged: Letter[] = []
  #state: string | undefined
  #reason = ''
  #initReturned = false
  /** True while frames can be sent: the peer has not closed, but it may have sent FIN. */
  #open = true

  post (letter: Letter): void {
    if (this.ended || this.#drains) return
    if (this.running === undefined) this.#run(letter)
    else this.#waiting.push(letter)
  }

  offer (letter: Letter): boolean {
    if (this.ended || this.#drains) return false
    this.#staged.push(letter)
    return true
  }

  turn (): void {
    while (this.#staged.length > 0) for (const letter of this.#staged.splice(0)) this.post(letter)
  }

  /**
   * The server ends the connection. The first reason wins, waiting letters are dropped, and a
   * running callback may finish before `terminate`.
   */
  end (reason: string, frame: string): void {
    const first = !this.ended
    this.#begin(reason, () => false)
    if (this.#open) this.wire.push(frame)
    this.#open = false
    if (first && this.running === undefined) this.#terminate()
  }

  /** The server closes: as `end`, but after the running callback. */
  drain (): void {
    this.#drains = !this.ended && this.running !== undefined
    if (!this.#drains) return this.end('shutdown', 'close 1012')
    this.#waiting = []
    this.#staged = []
  }

  /**
   * The peer ends the connection. Waiting frames are handled first. After a FIN without a close
   * frame their answers are sent.
   */
  peerEnd (reason: string, { frame, open = false }: { frame?: string, open?: boolean } = {}): void {
    if (this.ended) return
    this.#begin(reason, ({ kind }) => kind !== 'info')
    if (frame !== undefined) this.wire.push(frame)
    this.#open = open
    if (this.running === undefined) this.#terminate()
  }

  #begin (reason: string, isKept: (letter: Letter) => boolean): void {
    if (!this.ended) this.#reason = reason
    this.ended = true
    this.#waiting = this.#waiting.filter(isKept)
    this.#staged = []
  }

  release (): void {
    for (let letter = this.running; letter !== undefined; letter = this.#waiting.shift()) {
      if (letter !== this.running && !this.#start(letter)) return
      this.#finish(letter)
      this.running = undefined
      if (this.#drains && !this.ended) return this.end('shutdown', 'close 1012')
      if (this.ended && this.#waiting.length === 0) return this.#terminate()
    }
  }

  #run (letter: Letter): void {
    if (this.#start(letter)) this.release()
  }

  #start (letter: Letter): boolean {
    this.running = letter
    this.log.push(`${letter.kind} ${letter.id}, state ${this.#state ?? ''}`)
    return !letter.script.async
  }

  #finish ({ kind, id, script: { infos, outcome } }: Letter): void {
    this.log.push(`ends ${id}`)
    for (let i = 0; i < infos; i++) {
      this.log.push(
        `posted ${id}.${i} ${String(this.offer({ kind: 'info', id: `${id}.${i}`, script: INFO }))}`
      )
    }
    // After the close nothing is sent, so no message is unsendable.
    if (
      outcome === 'throw' ||
      outcome === 'no result' ||
      outcome === 'bad code' ||
      (outcome === 'unsendable' && this.#open)
    ) {
      return this.end('error 1011', 'close 1011')
    }
    if (kind === 'init') this.#initReturned = true
    if (outcome !== 'nothing' && outcome !== 'push' && outcome !== 'detail') this.#state = id
    if (this.#open) this.wire.push(...MESSAGES[outcome]?.map((end) => id + end) ?? [])
    if (outcome === 'stop') this.end('normal', 'close 1000')
    if (outcome === 'detail') this.end('normal', 'close 4000')
    if (outcome === 'error') this.end('error 1011', 'close 1011')
  }

  #terminate (): void {
    this.#open = false
    if (this.#initReturned) this.log.push(`terminate ${this.#reason}, state ${this.#state ?? ''}`)
  }
}

/** The suffixes that the messages of each outcome add to the id of the letter. */
const MESSAGES: Partial<Record<Script['outcome'], string[]>> = {
  push: ['a'],
  list: ['a', 'b'],
  stop: ['z'],
  error: ['z']
}
