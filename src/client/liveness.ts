// A timer that is this late was held back by a computer that slept: browsers throttle the timers
// of hidden pages to one a minute, and servers drop a connection after less silence than this.
const ASLEEP_MS = 120_000
// A timer that is this late says nothing about the server: its answer may be waiting to be read.
const LATE_MS = 2000

export interface Ping {
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Without it only the timers are watched. */
  readonly send: (() => void) | undefined
}

/** Watches an open connection, by pings of the application's and by timers that fire late. */
export class Liveness {
  readonly #ping: Ping
  readonly #end: (reason: string) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #dueAt = 0
  #asked = false
  #heard = false

  /** `end` is called for a connection that is not, or probably not, alive. */
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

  /** Something has arrived. */
  hear (): void {
    if (this.#asked) this.start()
    this.#heard = true
  }

  /** Looks after the connection. `woken`: because the page was shown or the network is back. */
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
