import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { FST_WEBSOCK_NO_SUCH_METHOD } from '../errors.ts'
import type { Connection } from './connection.ts'
import type { Context } from './handler.ts'
import type { Ref } from './ref.ts'
import { ok, push, stop, type Push, type Stop } from './result.ts'
import type { Timer } from './timers.ts'
import { nameOfTopic, type Topic } from './topic.ts'

type AnyContext = Context<unknown, unknown, unknown>
type Bound = 'push' | 'stop' | 'send' | 'drained' | 'close' | 'run' | 'post' | 'postAfter' | 'postInterval' | 'subscribe' | 'unsubscribe' |
  'subscriptionReady' | 'broadcast' | 'publish' | 'track' | 'untrack' | 'pause' | 'resume'

/** Made when they are asked for. */
type Parts = { -readonly [K in Bound]?: AnyContext[K] | undefined } & {
  log?: FastifyBaseLogger
  ref?: Ref
  /** The last push or stop that the running callback has made. */
  made?: Push<unknown> | Stop<unknown> | undefined
  /** The running callback has made another one before. */
  madeMore?: boolean
}

/**
 * What callbacks are given as `ws`. Each part is made when it is first asked for, because most connections ask for
 * few; functions stay bound, so that `{ push, postAfter }` can be taken out of it.
 */
export class ConnectionContext implements AnyContext {
  readonly #connection: Connection
  #made: Parts | undefined

  constructor (connection: Connection) {
    this.#connection = connection
  }

  get id (): string { return this.#connection.id }
  get server (): FastifyInstance { return this.#connection.server }
  get log (): FastifyBaseLogger { return (this.#parts.log ??= this.#connection.createLog()) }
  get ref (): Ref { return (this.#parts.ref ??= this.#connection.createRef()) }
  get signal (): AbortSignal { return this.#connection.signal }
  get subprotocol (): string | null { return this.#connection.subprotocol }
  get bufferedBytes (): number { return this.#connection.bufferedBytes }
  get droppedInfos (): number { return this.#connection.droppedInfos }
  get droppedMessages (): number { return this.#connection.droppedMessages }

  get ok (): AnyContext['ok'] { return ok }
  get push (): AnyContext['push'] { return (this.#parts.push ??= (messages, state) => this.#note(push(messages, state))) }
  get stop (): AnyContext['stop'] {
    return (this.#parts.stop ??= (reason, detail, messages, state) => this.#note(stop(reason, detail, messages, state)))
  }

  get send (): AnyContext['send'] { return (this.#parts.send ??= (messages) => this.#connection.send(messages)) }
  get drained (): AnyContext['drained'] { return (this.#parts.drained ??= () => this.#connection.drained()) }
  get close (): AnyContext['close'] {
    return (this.#parts.close ??= (code = 1000, reason = '') => this.#connection.close(code, reason))
  }

  get run (): AnyContext['run'] { return (this.#parts.run ??= (task) => this.#connection.run(task)) }
  get post (): AnyContext['post'] { return (this.#parts.post ??= (info) => this.#connection.offer(info)) }
  get postAfter (): (info: unknown, ms: number) => Timer {
    return (this.#parts.postAfter ??= (info, ms) => this.#connection.postAfter(info, ms))
  }

  get postInterval (): (info: unknown, ms: number) => Timer {
    return (this.#parts.postInterval ??= (info, ms) => this.#connection.postInterval(info, ms))
  }

  get subscribe (): (topic: string | Topic) => void {
    return (this.#parts.subscribe ??= (topic) => this.#connection.subscribe(nameOfTopic(topic)))
  }

  get unsubscribe (): (topic: string | Topic) => void {
    return (this.#parts.unsubscribe ??= (topic) => this.#connection.unsubscribe(nameOfTopic(topic)))
  }

  get subscriptionReady (): (topic: string | Topic) => Promise<boolean> {
    return (this.#parts.subscriptionReady ??= (topic) => this.#connection.subscriptionReady(nameOfTopic(topic)))
  }

  get broadcast (): (topic: string | Topic, message: unknown) => void {
    return (this.#parts.broadcast ??= (topic, message) => this.#connection.broadcastToOthers(nameOfTopic(topic), message))
  }

  get publish (): (topic: string | Topic, info: unknown) => void {
    return (this.#parts.publish ??= (topic, info) => this.#connection.publishToOthers(nameOfTopic(topic), info))
  }

  get track (): (topic: string | Topic, key: string, meta?: unknown) => void {
    return (this.#parts.track ??= (topic, key, meta) => this.#connection.track(nameOfTopic(topic), key, meta))
  }

  get untrack (): (topic: string | Topic, key: string) => void {
    return (this.#parts.untrack ??= (topic, key) => this.#connection.untrack(nameOfTopic(topic), key))
  }

  get pause (): () => void { return (this.#parts.pause ??= () => this.#connection.pause()) }
  get resume (): () => void { return (this.#parts.resume ??= () => this.#connection.resume()) }

  /** A callback has ended with this value. False: it had made another push or stop, which did nothing. */
  resultReturned (value: unknown): boolean {
    const parts = this.#made
    if (parts?.made === undefined) return true
    const returned = parts.made === value && parts.madeMore !== true
    parts.made = undefined
    parts.madeMore = false
    return returned
  }

  /** Keeps what a callback is to return. Nobody will return one that is made while no callback runs. */
  #note<Made extends Push<unknown> | Stop<unknown>> (made: Made): Made {
    const parts = this.#parts
    if (!this.#connection.callbackRuns) this.#connection.warn('result')
    else {
      parts.madeMore = parts.made !== undefined
      parts.made = made
    }
    return made
  }

  get #parts (): Parts {
    return (this.#made ??= {})
  }
}

const LISTENING = 'declare the callback in the route\'s websocketHandler: handleIn, on, handleControl, terminate'
const CLOSING = 'call ws.close(code, reason), or return ws.stop()'
const PINGING = 'the server pings by itself (heartbeatIntervalMs); for a ping of your own call ws.send(pingFrame(data))'

/** What people know from ws and from browsers, and what to use instead. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  on: LISTENING,
  once: LISTENING,
  addEventListener: LISTENING,
  emit: 'call ws.post(info) for the own handler, or ws.send(message) for the client',
  terminate: CLOSING,
  destroy: CLOSING,
  disconnect: CLOSING,
  ping: PINGING,
  pong: 'pongs are sent by the library'
}

for (const [name, instead] of Object.entries(ELSEWHERE)) {
  Object.defineProperty(ConnectionContext.prototype, name, {
    value () { throw new FST_WEBSOCK_NO_SUCH_METHOD(name, instead) },
    configurable: true
  })
}
