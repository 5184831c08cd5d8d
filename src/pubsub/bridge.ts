import { FST_WEBSOCK_ENGINE_IN_USE } from '../errors.ts'
import { reasonOf, writeLog, type Log } from '../log.ts'
import { channels } from '../telemetry/channels.ts'
import type { EngineStats } from '../telemetry/stats.ts'
import type { Engine, EngineListener } from './engine.ts'

export interface BridgeOwner {
  /** The name of this node: the part before the dot in its addresses. */
  readonly node: string
  /** Takes a publication on a wanted topic. Its sender is not trusted. Must not throw. */
  received (topic: string, payload: Uint8Array): void
  /** The broker is connected. */
  up (): void
  /**
   * These topics are subscribed again. The value: since when publications may have been missed, in
   * ms of `performance.now()`.
   */
  restored (topics: ReadonlyMap<string, number>): void
  /** A topic is subscribed at the broker. */
  subscribed (topic: string): void
}

/** The wanted and the actual state of one topic at the broker. */
interface TopicState {
  readonly topic: string
  wanted: boolean
  /** Undefined when it is not known, after the broker was disconnected. */
  subscribed: boolean | undefined
  /** A call of the engine for this topic is not settled yet. */
  busy: boolean
  /** Since when publications may have been missed. */
  missingSince: number | undefined
  /** How often the broker has ended the subscription. */
  drops: number
}

/** Limit for the bytes of unsettled publications. Further publications are lost, not queued. */
const MAX_BYTES_UNDER_WAY = 16 * 1024 * 1024
const RETRY_MS = 1_000
const STOP_TIMEOUT_MS = 5_000
const START_NOTICE_MS = 5_000
/** Minimum time between two log lines with the same text. */
const LOG_INTERVAL_MS = 60_000

/** Engines that belong to an app. Two apps with one engine would end each other's subscriptions. */
const owned = new WeakSet<Engine>()

/**
 * Keeps an engine subscribed to the wanted topics, publishes, and records missed publications.
 *
 * Only the constructor throws; no method throws or rejects. At most one call per topic is under
 * way; the next one follows the state that is wanted then.
 */
export class Bridge implements EngineListener {
  readonly #engine: Engine
  readonly #owner: BridgeOwner
  readonly #log: Log
  readonly #topics = new Map<string, TopicState>()
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Topics whose last call the broker refused, until the next try. */
  readonly #refused = new Set<TopicState>()
  readonly #loggedAt = new Map<string, number>()
  #isUp = false
  /** Number of calls of `up` and `down`. Identifies one period of connection or disconnection. */
  #era = 0
  #lostAt: number | undefined
  /** Number of wanted topics that are not subscribed. */
  #missing = 0
  /** Topics that are subscribed again and whose subscribers have not been notified yet. */
  #restored = new Map<string, number>()
  #isRestoring = false
  #refusedTopics = 0
  #arePublicationsRefused = false
  #lostBefore = 0
  #bytesUnderWay = 0
  #stopped = false
  /** Publications that did not reach the broker. */
  lost = 0
  /** How often the broker was lost, and how often subscribers were notified of a gap. */
  #outages = 0
  #gaps = 0

  /** Throws FST_WEBSOCK_ENGINE_IN_USE for an engine that has been given to an app before. */
  constructor (engine: Engine, owner: BridgeOwner, log: Log) {
    if (owned.has(engine)) throw new FST_WEBSOCK_ENGINE_IN_USE(engine.name)
    owned.add(engine)
    this.#engine = engine
    this.#owner = owner
    this.#log = log
  }

  async start (): Promise<void> {
    try {
      await this.#engine.start(this)
    } catch (error) {
      this.#write(
        'error',
        { err: reasonOf(error) },
        'the engine cannot start: publications reach this process only'
      )
      return
    }
    if (!this.#isUp) this.#schedule(START_NOTICE_MS, () => { if (this.#era === 0) this.down() })
  }

  /** True when the broker is connected, accepts publications, and has all wanted subscriptions. */
  get ready (): boolean {
    return this.#isUp && this.#missing === 0 && !this.#arePublicationsRefused
  }

  stats (): EngineStats {
    return {
      name: this.#engine.name,
      connected: this.#isUp,
      ready: this.ready,
      topics: this.#topics.size,
      topicsMissing: this.#missing,
      outages: this.#outages,
      gaps: this.#gaps,
      lostPublications: this.lost
    }
  }

  get maxPayloadBytes (): number { return this.#engine.maxPayloadBytes }

  /** True when publications of other nodes on this topic arrive. */
  isSubscribed (topic: string): boolean {
    const state = this.#topics.get(topic)
    return state?.wanted === true && state.subscribed === true
  }

  want (topic: string): void {
    const state = this.#topics.get(topic)
    // A topic first wanted while the broker is disconnected misses publications from now on.
    const missingSince = this.#isUp || this.#era === 0 ? undefined : performance.now()
    if (state === undefined) {
      this.#topics.set(topic, {
        topic,
        wanted: true,
        subscribed: false,
        busy: false,
        missingSince,
        drops: 0
      })
      this.#missing++
    } else if (!state.wanted) {
      this.#set(state, { wanted: true })
      state.missingSince = missingSince
    }
    void this.#sync(topic)
  }

  drop (topic: string): void {
    const state = this.#topics.get(topic)
    if (state === undefined) return
    this.#set(state, { wanted: false })
    state.missingSince = undefined
    this.#restored.delete(topic)
    void this.#sync(topic)
  }

  /**
   * Publishes. Returns false when the publication is certainly lost. `isPresence`: a presence
   * message, which is not counted as lost because presence repairs itself.
   */
  send (topic: string, payload: Uint8Array, isPresence: boolean): boolean {
    if (!this.#isUp || this.#bytesUnderWay + payload.length > MAX_BYTES_UNDER_WAY) {
      if (!isPresence) this.lost++
      return false
    }
    void this.#publish(topic, payload, isPresence)
    return true
  }

  /** Stops the engine. Resolves when it has stopped, has failed to, or after STOP_TIMEOUT_MS. */
  async stop (): Promise<void> {
    this.#stopped = true
    this.#isUp = false
    for (const timer of this.#timers) clearTimeout(timer)
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        reject,
        STOP_TIMEOUT_MS,
        new Error(`it took more than ${STOP_TIMEOUT_MS} ms`)
      )
    })
    try {
      await Promise.race([this.#engine.stop(), timeout])
    } catch (error) {
      this.#write('error', { err: reasonOf(error) }, 'the engine failed to stop')
    } finally {
      clearTimeout(timer)
    }
  }

  receive (topic: string, payload: Uint8Array): void {
    if (
      !this.#stopped &&
      payload.length <= this.#engine.maxPayloadBytes &&
      this.#topics.get(topic)?.wanted === true
    ) {
      this.#owner.received(topic, payload)
    }
  }

  up (): void {
    if (this.#isUp || this.#stopped) return
    this.#isUp = true
    this.#era++
    const ms = this.#lostAt === undefined ? undefined : Math.round(performance.now() - this.#lostAt)
    this.#lostAt = undefined
    this.#write(
      'info',
      { ...(ms !== undefined && { ms, lost: this.lost - this.#lostBefore }) },
      'the engine is connected'
    )
    if (channels.engineUp.hasSubscribers) channels.engineUp.publish(this.#identity())
    for (const topic of this.#topics.keys()) void this.#sync(topic)
    this.#owner.up()
  }

  down (reason?: unknown, silentMs = 0): void {
    if (this.#stopped || (!this.#isUp && this.#era > 0)) return
    const since = performance.now() - silentMs
    if (this.#isUp) this.#lostAt = since
    this.#isUp = false
    this.#era++
    this.#outages++
    this.#lostBefore = this.lost
    this.#arePublicationsRefused = false
    for (const state of this.#topics.values()) {
      this.#set(state, { subscribed: undefined })
      if (state.wanted) state.missingSince ??= this.#restored.get(state.topic) ?? since
    }
    this.#restored.clear()
    this.#refused.clear()
    this.#write(
      'warn',
      { ...(reason !== undefined && { err: reasonOf(reason) }) },
      'the engine is not connected: publications reach this process only'
    )
    if (channels.engineDown.hasSubscribers) {
      channels.engineDown.publish({ ...this.#identity(), reason })
    }
  }

  #identity (): { engine: string, node: string } {
    return { engine: this.#engine.name, node: this.#owner.node }
  }

  dropped (topic: string, reason?: unknown, silentMs = 0): void {
    const state = this.#topics.get(topic)
    if (this.#stopped || state === undefined) return
    state.drops++
    if (state.busy) return
    this.#set(state, { subscribed: false })
    if (state.wanted) this.#refuse(state, reason, performance.now() - silentMs)
    else this.#topics.delete(topic)
  }

  async #sync (topic: string): Promise<void> {
    const state = this.#topics.get(topic)
    if (state === undefined || state.busy || this.#refused.has(state)) return
    state.busy = true
    while (this.#isUp && state.subscribed !== state.wanted) {
      if (!await this.#ask(state)) break
    }
    state.busy = false
    if (!state.wanted && state.subscribed === false) this.#topics.delete(topic)
  }

  /** Makes one call of the engine. Resolves with false when it failed and will be tried again. */
  async #ask (state: TopicState): Promise<boolean> {
    const { topic, wanted, drops } = state
    const era = this.#era
    const askedAt = performance.now()
    try {
      await (wanted ? this.#engine.subscribe(topic) : this.#engine.unsubscribe(topic))
      if (era !== this.#era) return true
      if (drops !== state.drops) throw new Error('The broker has ended the subscription')
    } catch (error) {
      if (era !== this.#era) return true
      this.#set(state, { subscribed: wanted ? false : undefined })
      this.#refuse(state, error, askedAt)
      return false
    }
    this.#set(state, { subscribed: wanted })
    if (wanted) this.#reportSubscribed(state)
    return true
  }

  #refuse (state: TopicState, reason: unknown, since: number): void {
    if (state.wanted) {
      state.missingSince ??= this.#restored.get(state.topic) ?? since
      this.#restored.delete(state.topic)
      this.#refusedTopics++
    }
    this.#logRarely('error', { err: reasonOf(reason), topic: state.topic }, state.wanted
      ? 'a topic cannot be subscribed: trying again each second'
      : 'a topic cannot be unsubscribed: trying again each second')
    this.#refused.add(state)
    if (this.#refused.size > 1) return
    this.#schedule(RETRY_MS, () => {
      const refused = [...this.#refused]
      this.#refused.clear()
      for (const { topic } of refused) void this.#sync(topic)
    })
  }

  async #publish (topic: string, payload: Uint8Array, isPresence: boolean): Promise<void> {
    const era = this.#era
    this.#bytesUnderWay += payload.length
    try {
      await this.#engine.publish(topic, payload)
      if (isPresence && era === this.#era) this.#arePublicationsRefused = false
    } catch (error) {
      if (!isPresence) this.lost++
      if (era !== this.#era || this.#stopped) return
      if (isPresence) this.#arePublicationsRefused = true
      this.#logRarely(
        'error',
        { err: reasonOf(error), topic, lost: this.lost },
        'the broker refuses publications: they reach this process only'
      )
    } finally {
      this.#bytesUnderWay -= payload.length
    }
  }

  /**
   * Notifies the owner that a topic is subscribed. Restored topics are collected for one turn, and
   * reported at once when no topic is missing.
   */
  #reportSubscribed (state: TopicState): void {
    this.#owner.subscribed(state.topic)
    if (state.missingSince !== undefined) this.#restored.set(state.topic, state.missingSince)
    state.missingSince = undefined
    if (this.#missing === 0) {
      if (this.#refusedTopics > 0) {
        const fields = { refusals: this.#refusedTopics }
        this.#logRarely('info', fields, 'all topics are subscribed again')
      }
      this.#refusedTopics = 0
      return this.#flushRestored()
    }
    if (this.#isRestoring || this.#restored.size === 0) return
    this.#isRestoring = true
    setImmediate(() => {
      this.#isRestoring = false
      this.#flushRestored()
    })
  }

  #flushRestored (): void {
    const topics = this.#restored
    if (topics.size === 0 || this.#stopped) return
    this.#restored = new Map()
    this.#gaps++
    if (channels.engineGap.hasSubscribers) {
      let since = Infinity
      for (const from of topics.values()) since = Math.min(since, from)
      const ms = Math.ceil(performance.now() - since)
      channels.engineGap.publish({ ...this.#identity(), topics: topics.size, ms })
    }
    this.#owner.restored(topics)
  }

  #set (
    state: TopicState,
    { wanted = state.wanted, ...given }: { wanted?: boolean, subscribed?: boolean | undefined }
  ): void {
    const isMissing = (): number => state.wanted && state.subscribed !== true ? 1 : 0
    this.#missing -= isMissing()
    state.wanted = wanted
    if ('subscribed' in given) state.subscribed = given.subscribed
    this.#missing += isMissing()
  }

  #logRarely (level: 'error' | 'info', fields: object, text: string): void {
    const now = performance.now()
    if (now - (this.#loggedAt.get(text) ?? -Infinity) < LOG_INTERVAL_MS) return
    this.#loggedAt.set(text, now)
    this.#write(level, fields, text)
  }

  #write (level: 'error' | 'warn' | 'info', fields: object, text: string): void {
    writeLog(this.#log, level, { engine: this.#engine.name, ...fields }, text)
  }

  #schedule (ms: number, task: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      task()
    }, ms).unref()
    this.#timers.add(timer)
  }
}
