import type { FastifyBaseLogger } from 'fastify'
import type { Connection } from './connection.ts'
import type { Context } from './handler.ts'
import type { Ref } from './ref.ts'
import { ok, push, stop } from './result.ts'
import type { Timer } from './timers.ts'

/**
 * What callbacks are given as `ws`. Each part is made when it is first asked for, because most connections ask for
 * few; functions stay bound, so that `{ push, sendAfter }` can be taken out of it.
 */
export class ConnectionContext implements Context<unknown, unknown, unknown> {
  readonly #connection: Connection
  #log: FastifyBaseLogger | undefined
  #ref: Ref | undefined
  #send: ((info: unknown) => boolean) | undefined
  #sendAfter: ((info: unknown, ms: number) => Timer) | undefined
  #sendInterval: ((info: unknown, ms: number) => Timer) | undefined
  #pause: (() => void) | undefined
  #resume: (() => void) | undefined

  constructor (connection: Connection) {
    this.#connection = connection
  }

  get ok (): typeof ok { return ok }
  get push (): typeof push { return push }
  get stop (): typeof stop { return stop }
  get id (): string { return this.#connection.id }
  get log (): FastifyBaseLogger { return (this.#log ??= this.#connection.createLog()) }
  get ref (): Ref { return (this.#ref ??= this.#connection.createRef()) }
  get signal (): AbortSignal { return this.#connection.signal }
  get subprotocol (): string | null { return this.#connection.subprotocol }
  get bufferedBytes (): number { return this.#connection.bufferedBytes }
  get droppedInfos (): number { return this.#connection.droppedInfos }
  get droppedMessages (): number { return this.#connection.droppedMessages }
  get send (): (info: unknown) => boolean { return (this.#send ??= (info) => this.#connection.offer(info)) }
  get sendAfter (): (info: unknown, ms: number) => Timer {
    return (this.#sendAfter ??= (info, ms) => this.#connection.sendAfter(info, ms))
  }

  get sendInterval (): (info: unknown, ms: number) => Timer {
    return (this.#sendInterval ??= (info, ms) => this.#connection.sendInterval(info, ms))
  }

  get pause (): () => void { return (this.#pause ??= () => this.#connection.pause()) }
  get resume (): () => void { return (this.#resume ??= () => this.#connection.resume()) }
}
