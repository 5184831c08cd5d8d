// A timer that is this late means that the computer slept: browsers run the timers of hidden pages
// once a minute. Servers drop a connection after less silence than this.
const ASLEEP_MS = 120_000
// When a timer is this late, the answer of the server may have arrived and wait to be read.
const LATE_MS = 2000

export interface Ping {
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Undefined: only late timers are detected. */
  readonly send: (() => void) | undefined
}

/** Detects that an open connection is dead, by pings of the application and by late timers. */
export class Liveness {
  readonly #ping: Ping
  readonly #end: (reason: string) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #dueAt = 0
  #asked = false
  #heard = false

  /** `end` is called for a connection that is dead or probably dead. */
  constructor (ping: Ping, end: (reason: string) => void) {
    this.#ping = ping
    this.#end = end
  }

  start (): void {
    this.#ask(false, this.#ping.intervalMs)
  }

  stop (): void {
    clearTimeout(this.#timer)
  }

  /** Must be called for each received message. */
  hear (): void {
    if (this.#asked) this.start()
    this.#heard = true
  }

  /**
   * Checks the connection: ends it, pings, or waits. `woken`: the page became visible or the
   * network is back.
   */
  check (woken?: boolean): void {
    const lateMs = Date.now() - this.#dueAt
    if (lateMs > ASLEEP_MS) this.#end('asleep')
    else if (this.#asked && !woken && lateMs < LATE_MS) this.#end('no answer')
    else if (!this.#ping.send || (this.#heard && !woken)) this.start()
    else {
      this.#ask(true, this.#ping.timeoutMs)
      this.#ping.send()
    }
  }

  #ask (asked: boolean, ms: number): void {
    this.#heard = false
    this.#asked = asked
    this.#dueAt = Date.now() + ms
    this.stop()
    this.#timer = setTimeout(() => this.check(), ms)
  }
}
