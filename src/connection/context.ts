import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { FST_WEBSOCK_NO_SUCH_METHOD } from '../errors.ts'
import { childOf } from '../log.ts'
import type { AnyContext } from './handler-context.ts'
import type { Membership } from './membership.ts'
import type { Ref } from './ref.ts'
import { ok, push, stop, type Result } from './result.ts'
import type {
  ConnectionLimits, ConnectionOptions, Mistake, TopicMember, Topics
} from './route-context.ts'
import type { Timer, Timers } from './timers.ts'
import { nameOfTopic, type Topic } from './topic.ts'

type Bound = 'stop' | 'send' | 'drained' | 'close' | 'run' | 'post' | 'postAfter' | 'postInterval' |
  'subscribe' | 'unsubscribe' | 'subscriptionReady' | 'broadcast' | 'publish' |
  'track' | 'untrack' | 'pause' | 'resume'

/** The part of a connection that its context uses. */
export interface ContextOwner extends TopicMember, Pick<AnyContext, 'server' | 'signal' |
  'subprotocol' | 'bufferedBytes' | 'droppedInfos' | 'droppedMessages' | 'run' | 'pause' | 'resume'> {
  readonly options: Pick<ConnectionOptions, 'log'>
  readonly limits: Pick<ConnectionLimits, 'maxPresenceBytes'>
  readonly membership: Membership
  readonly timers: Timers
  /** True while a callback runs. */
  readonly callbackRuns: boolean
  /** The connection has begun to end. */
  readonly ending: boolean
  createRef (): Ref
  send (messages: unknown): boolean
  drained (): Promise<boolean>
  close (code: number, reason: string): void
  warn (mistake: Mistake): void
}

/** The parts created so far. */
type Parts = { -readonly [K in Bound]?: AnyContext[K] | undefined } & {
  log?: FastifyBaseLogger
  ref?: Ref
}

/**
 * The `ws` argument of callbacks.
 *
 * Each part is created on first access, because most connections use few of them. Functions are
 * bound, so that `{ push, postAfter }` can be destructured from it.
 */
export class ConnectionContext implements AnyContext {
  readonly #connection: ContextOwner
  #parts: Parts | undefined
  /** Not in `#parts`, because most callbacks use it. */
  #push: AnyContext['push'] | undefined
  /**
   * Number of pushes and stops that the running callback has created. A number, because V8 needs no
   * write barrier for it.
   */
  #results = 0

  constructor (connection: ContextOwner) {
    this.#connection = connection
  }

  get id (): string { return this.#connection.id }
  get server (): FastifyInstance { return this.#connection.server }
  get log (): FastifyBaseLogger { return (this.#made.log ??= this.#createLog()) }
  get ref (): Ref { return (this.#made.ref ??= this.#connection.createRef()) }
  get signal (): AbortSignal { return this.#connection.signal }
  get subprotocol (): string | null { return this.#connection.subprotocol }
  get bufferedBytes (): number { return this.#connection.bufferedBytes }
  get droppedInfos (): number { return this.#connection.droppedInfos }
  get droppedMessages (): number { return this.#connection.droppedMessages }

  get ok (): AnyContext['ok'] { return ok }
  get push (): AnyContext['push'] {
    return (this.#push ??= (messages, state) => {
      this.#countResult()
      return push(messages, state)
    })
  }

  get stop (): AnyContext['stop'] {
    return (this.#made.stop ??= (reason, detail, messages, state) => {
      this.#countResult()
      return stop(reason, detail, messages, state)
    })
  }

  get send (): AnyContext['send'] {
    return (this.#made.send ??= (messages) => this.#connection.send(messages))
  }

  get drained (): AnyContext['drained'] {
    return (this.#made.drained ??= () => this.#connection.drained())
  }

  get close (): AnyContext['close'] {
    return (this.#made.close ??= (code = 1000, reason = '') => this.#connection.close(code, reason))
  }

  get run (): AnyContext['run'] { return (this.#made.run ??= (task) => this.#connection.run(task)) }
  get post (): AnyContext['post'] {
    return (this.#made.post ??= (info) => this.#connection.offer(info))
  }

  get postAfter (): (info: unknown, ms: number) => Timer {
    return (this.#made.postAfter ??= (info, ms) => this.#connection.timers.postAfter(info, ms))
  }

  get postInterval (): (info: unknown, ms: number) => Timer {
    return (this.#made.postInterval ??= (info, ms) =>
      this.#connection.timers.postInterval(info, ms))
  }

  get subscribe (): (topic: string | Topic) => void {
    return (this.#made.subscribe ??= (topic) =>
      this.#connection.membership.subscribe(nameOfTopic(topic)))
  }

  get unsubscribe (): (topic: string | Topic) => void {
    return (this.#made.unsubscribe ??= (topic) =>
      this.#topics.unsubscribe(nameOfTopic(topic), this.#connection))
  }

  get subscriptionReady (): (topic: string | Topic) => Promise<boolean> {
    return (this.#made.subscriptionReady ??= (topic) =>
      this.#topics.subscriptionReady(nameOfTopic(topic), this.#connection))
  }

  get broadcast (): (topic: string | Topic, message: unknown) => void {
    return (this.#made.broadcast ??= (topic, message) =>
      this.#topics.broadcast(nameOfTopic(topic), message, { except: this.id }))
  }

  get publish (): (topic: string | Topic, info: unknown) => void {
    return (this.#made.publish ??= (topic, info) =>
      this.#topics.publish(nameOfTopic(topic), info, { except: this.id }))
  }

  get track (): (topic: string | Topic, key: string, meta?: unknown) => void {
    return (this.#made.track ??= (topic, key, meta) =>
      this.#track(nameOfTopic(topic), key, meta))
  }

  get untrack (): (topic: string | Topic, key: string) => void {
    return (this.#made.untrack ??= (topic, key) =>
      this.#topics.untrack(nameOfTopic(topic), key, this.id))
  }

  get pause (): () => void { return (this.#made.pause ??= () => this.#connection.pause()) }
  get resume (): () => void { return (this.#made.resume ??= () => this.#connection.resume()) }

  /**
   * Called when a callback has ended. Warns when it has created a push or a stop but not returned
   * one.
   */
  callbackEnded (result: Result<unknown> | undefined): void {
    if (this.#results === 0) return
    this.#results = 0
    if (result === undefined || result.type === 'ok') this.#connection.warn('result')
  }

  /** Called when a callback has failed: it returns no result. */
  callbackFailed (): void {
    this.#results = 0
  }

  #countResult (): void {
    if (++this.#results !== 1 || !this.#connection.callbackRuns) this.#warnOfResult()
  }

  /**
   * Handles a result that cannot be returned: no callback runs, or it is the second result of one.
   */
  #warnOfResult (): void {
    this.#connection.warn('result')
    if (!this.#connection.callbackRuns) this.#results--
  }

  #createLog (): FastifyBaseLogger {
    const { id, options, group } = this.#connection
    return childOf<FastifyBaseLogger>(options.log, { websocket: id, route: group.url })
  }

  #track (topic: string, key: string, meta: unknown): void {
    const { ending, id, limits } = this.#connection
    if (!ending) this.#topics.track(topic, key, meta, id, limits.maxPresenceBytes)
  }

  get #topics (): Topics { return this.#connection.group.topics }

  get #made (): Parts {
    return (this.#parts ??= {})
  }
}

const LISTENING =
  'declare the callback in the route\'s websocketHandler: handleIn, on, handleControl, terminate'
const CLOSING = 'call ws.close(code, reason), or return ws.stop()'
const PINGING =
  'the server sends pings itself (heartbeatIntervalMs); to send another one, call ws.send(pingFrame(data))'

/** Methods of ws and of browsers that `ws` of a callback does not have, and their replacements. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  on: LISTENING,
  once: LISTENING,
  addEventListener: LISTENING,
  emit: 'call ws.post(info) for this handler, or ws.send(message) for the client',
  terminate: CLOSING,
  destroy: CLOSING,
  disconnect: CLOSING,
  ping: PINGING,
  pong: 'the library sends pongs itself'
}

for (const [name, instead] of Object.entries(ELSEWHERE)) {
  Object.defineProperty(ConnectionContext.prototype, name, {
    value () { throw new FST_WEBSOCK_NO_SUCH_METHOD(name, instead) },
    configurable: true
  })
}
