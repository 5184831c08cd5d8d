/** Who may hold the socket from being read. */
const HOLDERS = { mailbox: 1, handler: 2, rateLimit: 4 } as const

interface Readable {
  pause (): void
  resume (): void
}

/** Decides whether a socket is read: as long as nobody holds it. */
export class ReadGate {
  readonly #socket: Readable
  #holds = 0
  #released = false

  constructor (socket: Readable) {
    this.#socket = socket
  }

  get held (): boolean { return this.#holds !== 0 && !this.#released }

  /** Holds the socket, or lets go of it. */
  hold (by: keyof typeof HOLDERS, on: boolean): void {
    const before = this.#holds
    this.#holds = on ? before | HOLDERS[by] : before & ~HOLDERS[by]
    if (this.#released || (before === 0) === (this.#holds === 0)) return
    if (on) this.#socket.pause()
    else this.#socket.resume()
  }

  /** Reads on whoever holds the socket: at the end the peer's close frame and FIN are to be seen. */
  release (): void {
    this.#released = true
    if (this.#holds !== 0) this.#socket.resume()
  }
}
