import type { FastifyBaseLogger } from 'fastify'
import type { Connection } from './connection.ts'
import type { Context } from './handler.ts'
import type { Ref } from './ref.ts'
import { ok, push, stop } from './result.ts'
import type { Timer } from './timers.ts'

/** Made when they are asked for. */
interface Parts {
  log?: FastifyBaseLogger
  ref?: Ref
  send?: (info: unknown) => boolean
  sendAfter?: (info: unknown, ms: number) => Timer
  sendInterval?: (info: unknown, ms: number) => Timer
  subscribe?: (topic: string) => void
  unsubscribe?: (topic: string) => void
  subscriptionReady?: (topic: string) => Promise<boolean>
  track?: (topic: string, key: string, meta: unknown) => void
  untrack?: (topic: string, key: string) => void
  pause?: () => void
  resume?: () => void
}

/**
 * What callbacks are given as `ws`. Each part is made when it is first asked for, because most connections ask for
 * few; functions stay bound, so that `{ push, sendAfter }` can be taken out of it.
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
  get send (): (info: unknown) => boolean { return (this.#parts.send ??= (info) => this.#connection.offer(info)) }
  get sendAfter (): (info: unknown, ms: number) => Timer {
    return (this.#parts.sendAfter ??= (info, ms) => this.#connection.sendAfter(info, ms))
  }

  get sendInterval (): (info: unknown, ms: number) => Timer {
    return (this.#parts.sendInterval ??= (info, ms) => this.#connection.sendInterval(info, ms))
  }

  get subscribe (): (topic: string) => void { return (this.#parts.subscribe ??= (topic) => this.#connection.subscribe(topic)) }
  get unsubscribe (): (topic: string) => void { return (this.#parts.unsubscribe ??= (topic) => this.#connection.unsubscribe(topic)) }
  get subscriptionReady (): (topic: string) => Promise<boolean> {
    return (this.#parts.subscriptionReady ??= (topic) => this.#connection.subscriptionReady(topic))
  }

  get track (): (topic: string, key: string, meta?: unknown) => void {
    return (this.#parts.track ??= (topic, key, meta) => this.#connection.track(topic, key, meta))
  }

  get untrack (): (topic: string, key: string) => void { return (this.#parts.untrack ??= (topic, key) => this.#connection.untrack(topic, key)) }
  get pause (): () => void { return (this.#parts.pause ??= () => this.#connection.pause()) }
  get resume (): () => void { return (this.#parts.resume ??= () => this.#connection.resume()) }

  get #parts (): Parts {
    return (this.#made ??= {})
  }
}
