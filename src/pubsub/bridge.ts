import type { Engine, EngineListener } from './engine.ts'

export interface BridgeLog {
  info (fields: object, text: string): void
  warn (fields: object, text: string): void
  error (fields: object, text: string): void
}

export interface BridgeOwner {
  /** Bytes of anybody, on a topic that was wanted. Does not throw. */
  received (topic: string, payload: Uint8Array): void
  /** The broker is there. */
  up (): void
  /** The broker was away for `ms`, and all topics are subscribed again, or one that could not be subscribed is. */
  gapEnded (ms: number, topic?: string): void
}

/** What is known of one topic at the broker. */
interface Wish {
  wanted: boolean
  /** Undefined when nobody knows: the broker has been away. */
  subscribed: boolean | undefined
  /** A call is under way. */
  busy: boolean
  /** Since when it could not be subscribed. */
  failedAt: number | undefined
}

/** Bytes that the broker may have yet to take: what is published beyond them is lost, not kept. */
const MAX_BYTES_UNDER_WAY = 16 * 1024 * 1024
const RETRY_MS = 1_000
const STOP_TIMEOUT_MS = 5_000
const START_NOTICE_MS = 5_000

/**
 * Keeps an engine subscribed to what is wanted here, and tells it what is published, as long as its broker is there.
 *
 * Nothing here throws or rejects. For each topic one call at a time is under way, and the next says what is wanted then.
 */
export class Bridge implements EngineListener {
  readonly #engine: Engine
  readonly #owner: BridgeOwner
  readonly #log: BridgeLog
  readonly #wishes = new Map<string, Wish>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #isUp = false
  /** Counts the times that the broker came or went. */
  #era = 0
  /** When it went, until its return is told of. */
  #wentAt: number | undefined
  #gapMs: number | undefined
  /** Since the broker came: what was wanted then and has yet to be asked for. What is wanted since then is nobody's gap. */
  readonly #behind = new Set<Wish>()
  #lostBefore = 0
  #bytesUnderWay = 0
  #stopped = false
  /** Publications that did not reach the broker. */
  lost = 0

  constructor (engine: Engine, owner: BridgeOwner, log: BridgeLog) {
    this.#engine = engine
    this.#owner = owner
    this.#log = log
  }

  async start (): Promise<void> {
    try {
      await this.#engine.start(this)
    } catch (error) {
      this.#log.error({ err: error, engine: this.#engine.name }, 'the engine cannot start: topics stay in this process')
      return
    }
    if (!this.#isUp) this.#later(START_NOTICE_MS, () => { if (this.#era === 0) this.#warnOfAbsence() })
  }

  /** Tells whether the broker is there, and all that is wanted is subscribed. */
  get ready (): boolean {
    return this.#isUp && !this.#isBehind()
  }

  get maxPayloadBytes (): number { return this.#engine.maxPayloadBytes }

  want (topic: string): void {
    const wish = this.#wishes.get(topic)
    if (wish !== undefined) wish.wanted = true
    else this.#wishes.set(topic, { wanted: true, subscribed: false, busy: false, failedAt: undefined })
    void this.#sync(topic)
  }

  drop (topic: string): void {
    const wish = this.#wishes.get(topic)
    if (wish === undefined) return
    wish.wanted = false
    void this.#sync(topic)
  }

  /** False when it is lost for certain. `counted`: one more of `lost` when it is. */
  send (topic: string, payload: Uint8Array, counted: boolean): boolean {
    if (!this.#isUp || this.#bytesUnderWay + payload.length > MAX_BYTES_UNDER_WAY) {
      if (counted) this.lost++
      return false
    }
    void this.#publish(topic, payload, counted)
    return true
  }

  /** Resolves when the engine has stopped, or does not. */
  async stop (): Promise<void> {
    this.#stopped = true
    this.#isUp = false
    for (const timer of this.#timers) clearTimeout(timer)
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(reject, STOP_TIMEOUT_MS, new Error(`it took more than ${STOP_TIMEOUT_MS} ms`))
    })
    try {
      await Promise.race([this.#engine.stop(), timeout])
    } catch (error) {
      this.#log.error({ err: error, engine: this.#engine.name }, 'the engine did not stop well')
    } finally {
      clearTimeout(timer)
    }
  }

  receive (topic: string, payload: Uint8Array): void {
    if (!this.#stopped && payload.length <= this.#engine.maxPayloadBytes && this.#wishes.get(topic)?.wanted === true) this.#owner.received(topic, payload)
  }

  up (): void {
    if (this.#isUp || this.#stopped) return
    this.#isUp = true
    this.#era++
    this.#gapMs = this.#wentAt === undefined ? undefined : Math.round(performance.now() - this.#wentAt)
    this.#log.info({ engine: this.#engine.name, ...this.#gapMs !== undefined && { ms: this.#gapMs, lost: this.lost - this.#lostBefore } }, 'the engine is connected')
    for (const wish of this.#wishes.values()) this.#behind.add(wish)
    for (const topic of this.#wishes.keys()) void this.#sync(topic)
    this.#owner.up()
    this.#tellOfGap()
  }

  down (reason?: unknown): void {
    if (this.#stopped || (!this.#isUp && this.#era > 0)) return
    const wasUp = this.#isUp
    this.#isUp = false
    this.#era++
    if (wasUp) this.#wentAt ??= performance.now()
    this.#gapMs = undefined
    this.#lostBefore = this.lost
    for (const wish of this.#wishes.values()) wish.subscribed = undefined
    this.#warnOfAbsence(reason)
  }

  async #sync (topic: string): Promise<void> {
    const wish = this.#wishes.get(topic)
    if (wish === undefined || wish.busy) return
    wish.busy = true
    while (this.#isUp && wish.subscribed !== wish.wanted) {
      if (!await this.#ask(topic, wish)) break
    }
    wish.busy = false
    this.#behind.delete(wish)
    if (!wish.wanted && wish.subscribed === false) this.#wishes.delete(topic)
    this.#tellOfGap()
  }

  /** One call of the engine. False when it failed, and is to be tried again later. */
  async #ask (topic: string, wish: Wish): Promise<boolean> {
    const { wanted } = wish
    const era = this.#era
    try {
      await (wanted ? this.#engine.subscribe(topic) : this.#engine.unsubscribe(topic))
      wish.subscribed = era === this.#era ? wanted : undefined
      this.#tellOfFailure(topic, wish)
    } catch (error) {
      wish.subscribed = undefined
      if (era !== this.#era) return true
      this.#log.error({ err: error, engine: this.#engine.name, topic }, wanted ? 'a topic cannot be subscribed: trying again' : 'a topic cannot be unsubscribed: trying again')
      if (wanted) wish.failedAt ??= performance.now()
      this.#later(RETRY_MS, () => { void this.#sync(topic) })
      return false
    }
    return true
  }

  async #publish (topic: string, payload: Uint8Array, counted: boolean): Promise<void> {
    this.#bytesUnderWay += payload.length
    try {
      await this.#engine.publish(topic, payload)
    } catch {
      // No line for each: `down` and `up` have theirs, and that says how many.
      if (counted) this.lost++
    } finally {
      this.#bytesUnderWay -= payload.length
    }
  }

  /** When all topics are subscribed again, not earlier: what is asked of a database then must not miss what is published meanwhile. */
  #tellOfGap (): void {
    if (this.#gapMs === undefined || this.#behind.size > 0 || !this.#isUp) return
    const ms = this.#gapMs
    this.#gapMs = this.#wentAt = undefined
    this.#owner.gapEnded(ms)
  }

  /** Its subscribers have missed what was published since it could not be subscribed. */
  #tellOfFailure (topic: string, wish: Wish): void {
    const { failedAt, subscribed } = wish
    if (failedAt === undefined || subscribed === undefined) return
    wish.failedAt = undefined
    if (subscribed) this.#owner.gapEnded(Math.round(performance.now() - failedAt), topic)
  }

  #isBehind (): boolean {
    for (const { wanted, subscribed } of this.#wishes.values()) if (wanted && subscribed !== true) return true
    return false
  }

  #warnOfAbsence (reason?: unknown): void {
    this.#log.warn({ engine: this.#engine.name, ...reason !== undefined && { err: reason } }, 'the engine is not connected: topics stay in this process until it is')
  }

  #later (ms: number, task: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      task()
    }, ms).unref()
    this.#timers.add(timer)
  }
}
