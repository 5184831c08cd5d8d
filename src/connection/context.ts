import type { FastifyBaseLogger } from 'fastify'
import type { Connection } from './connection.ts'
import type { Context } from './handler.ts'
import type { Ref } from './ref.ts'
import { ok, push, stop } from './result.ts'
import type { Timer } from './timers.ts'
import { nameOfTopic, type Topic } from './topic.ts'

/** Made when they are asked for. */
interface Parts {
  log?: FastifyBaseLogger
  ref?: Ref
  post?: (info: unknown) => boolean
  postAfter?: (info: unknown, ms: number) => Timer
  postInterval?: (info: unknown, ms: number) => Timer
  subscribe?: (topic: string | Topic) => void
  unsubscribe?: (topic: string | Topic) => void
  subscriptionReady?: (topic: string | Topic) => Promise<boolean>
  track?: (topic: string | Topic, key: string, meta: unknown) => void
  untrack?: (topic: string | Topic, key: string) => void
  pause?: () => void
  resume?: () => void
}

/**
 * What callbacks are given as `ws`. Each part is made when it is first asked for, because most connections ask for
 * few; functions stay bound, so that `{ push, postAfter }` can be taken out of it.
 */
export class ConnectionContext implements Context<unknown, unknown, unknown> {
  readonly #connection: Connection
  #made: Parts | undefined

  constructor (connection: Connection) {
    this.#connection = connection
  }

  get ok (): typeof ok { return ok }
  get push (): typeof push { return push }
  get stop (): typeof stop { return stop }
  get id (): string { return this.#connection.id }
  get log (): FastifyBaseLogger { return (this.#parts.log ??= this.#connection.createLog()) }
  get ref (): Ref { return (this.#parts.ref ??= this.#connection.createRef()) }
  get signal (): AbortSignal { return this.#connection.signal }
  get subprotocol (): string | null { return this.#connection.subprotocol }
  get bufferedBytes (): number { return this.#connection.bufferedBytes }
  get droppedInfos (): number { return this.#connection.droppedInfos }
  get droppedMessages (): number { return this.#connection.droppedMessages }
  get post (): (info: unknown) => boolean { return (this.#parts.post ??= (info) => this.#connection.offer(info)) }
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

  get track (): (topic: string | Topic, key: string, meta?: unknown) => void {
    return (this.#parts.track ??= (topic, key, meta) => this.#connection.track(nameOfTopic(topic), key, meta))
  }

  get untrack (): (topic: string | Topic, key: string) => void {
    return (this.#parts.untrack ??= (topic, key) => this.#connection.untrack(nameOfTopic(topic), key))
  }

  get pause (): () => void { return (this.#parts.pause ??= () => this.#connection.pause()) }
  get resume (): () => void { return (this.#parts.resume ??= () => this.#connection.resume()) }

  get #parts (): Parts {
    return (this.#made ??= {})
  }
}
