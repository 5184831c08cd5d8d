import Fastify, { type FastifyInstance } from 'fastify'
import type { Connection } from '../connection/connection.ts'
import type { TerminateReason } from '../connection/result.ts'
import type {
  DrainInfo,
  GapInfo,
  SystemMessage,
  PresenceDiff
} from '../connection/system-message.ts'
import { FST_WEBSOCK_UNEXPECTED } from '../errors.ts'
import { websock } from '../plugin/plugin.ts'
import type { ContractOf } from '../plugin/types.ts'
import { closeCodes } from '../wire/close-codes.ts'
import { DrivenApp } from './driven-app.ts'
import { TestConnection } from './test-connection.ts'
import type { ClosedWith, ExpectOptions, InfoOf, Received, Sent, StateOf } from './types.ts'
import { askForUpgrade, type UpgradeOptions } from './upgrade.ts'

type ParamsOf<R> = ContractOf<R> extends { readonly Params: infer P extends object } ? P : object
type QueryOf<R> =
  ContractOf<R> extends { readonly Querystring: infer Q extends object } ? Q : object

export interface DriveOptions<R> extends Omit<ExpectOptions<string>, 'field'>, UpgradeOptions {
  readonly params?: ParamsOf<R>
  readonly query?: QueryOf<R>
  /**
   * An app that has the route, with its compilers, decorators and hooks. Default: a new one with
   * nothing else. Its connections share one time, which stands still from now on.
   */
  readonly app?: FastifyInstance
}

/** A route: of `defineWebsocketRoute`, or any other options with a `websocketHandler`. */
export interface DrivableRoute {
  readonly schema?: object
  readonly websocketHandler: object
}

/**
 * Runs a handler without a network: the route's hooks, schemas, mailbox and serializers as in an
 * app, over a stream in memory. Each step resolves when the handler has done what came of it.
 *
 * Rejects when the upgrade is refused: `connect` is for that.
 */
export async function drive<R extends DrivableRoute> (
  route: R,
  options: DriveOptions<R> = {}
): Promise<Driven<R>> {
  const app = options.app ?? await buildApp(route, options.params ?? {})
  await app.ready()
  const shared = DrivenApp.of(app)
  const url = shared.urlOf(route.websocketHandler, options.params ?? {}, options.query ?? {})
  const [ours, theirs] = shared.openStream()
  const answer = await askForUpgrade(
    { createConnection: () => ours as never, path: url },
    false,
    options
  )
  const { refused } = answer
  if (refused !== undefined) {
    throw new FST_WEBSOCK_UNEXPECTED(
      `the upgrade of ${url} was refused: ${refused.statusCode} ${refused.body}`
    )
  }
  const client = new TestConnection<Received<R>, Sent<R>, string>(answer, options)
  const steps = new Driven<R>({
    app,
    shared,
    client,
    connection: shared.find(theirs),
    timeoutMs: options.timeoutMs ?? 3000,
    ownsApp: options.app === undefined
  })
  await steps.settled()
  return steps
}

interface Parts<R> {
  readonly app: FastifyInstance
  readonly shared: DrivenApp
  readonly client: TestConnection<Received<R>, Sent<R>, string>
  readonly connection: Connection
  readonly timeoutMs: number
  readonly ownsApp: boolean
}

/**
 * A connection of `drive`. Steps resolve with the messages that the client has got since the last
 * one.
 */
export class Driven<R> implements AsyncDisposable {
  readonly app: FastifyInstance
  readonly id: string
  readonly #parts: Parts<R>
  #seen = 0

  constructor (parts: Parts<R>) {
    this.app = parts.app
    this.id = parts.connection.id
    this.#parts = parts
  }

  /** What the callbacks have made of it. */
  get state (): StateOf<R> { return this.#parts.connection.state as StateOf<R> }

  /** Each message that the client has got so far. */
  get sent (): ReadonlyArray<Received<R>> { return this.#parts.client.received }

  /** Why the connection has ended, as `terminate` is told. Undefined while it lasts. */
  get end (): TerminateReason | undefined { return this.#parts.connection.endReason }

  /** What the client saw of the end. Rejects when there is none. */
  get closed (): Promise<ClosedWith> { return this.#parts.client.closed }

  /** The client sends a message. */
  async receive (message: Sent<R>): Promise<Array<Received<R>>> {
    return this.#step(this.receive, ({ client }) => client.send(message))
  }

  /** The client sends a frame as it is: a string as text, bytes as binary. */
  async receiveRaw (data: string | Uint8Array): Promise<Array<Received<R>>> {
    return this.#step(this.receiveRaw, ({ client }) => client.sendRaw(data))
  }

  /** The client sends a ping. */
  async ping (data: string | Uint8Array = ''): Promise<Array<Received<R>>> {
    return this.#step(this.ping, ({ client }) => client.ping(data))
  }

  /** An info comes into the mailbox, as by `ref.post`. Rejects when it is not taken. */
  async post (info: InfoOf<R>): Promise<Array<Received<R>>> {
    return this.#step(this.post, ({ connection }) =>
      connection.offer(info) ? undefined : 'an info that was not taken'
    )
  }

  /** Somebody came to or left a topic. Rejects without a `handlePresence`; so do the next two. */
  async presence (diff: PresenceDiff): Promise<Array<Received<R>>> {
    return this.#notify({ type: 'presence', info: diff }, this.presence)
  }

  async gap (info: GapInfo): Promise<Array<Received<R>>> {
    return this.#notify({ type: 'gap', info }, this.gap)
  }

  async drain (info: DrainInfo): Promise<Array<Received<R>>> {
    return this.#notify({ type: 'drain', info }, this.drain)
  }

  /**
   * Moves the time of `ws.postAfter` and `ws.postInterval` on, timer by timer, for all connections
   * of the app.
   */
  async advance (ms: number): Promise<Array<Received<R>>> {
    const { shared, timeoutMs } = this.#parts
    const fail = this.#expectation(this.advance)
    await shared.clock.advance(ms, () => shared.settle(timeoutMs, fail))
    return this.settled()
  }

  /** The client closes. */
  async disconnect (code: number = closeCodes.normal, reason = ''): Promise<Array<Received<R>>> {
    await this.#parts.client.close(code, reason)
    return this.settled()
  }

  /** The client is gone without a close frame. */
  async cut (): Promise<Array<Received<R>>> {
    return this.#step(this.cut, ({ client }) => { client.socket.destroy() })
  }

  /**
   * Resolves when the handler has nothing to do: after what the test did elsewhere, a broadcast,
   * say.
   */
  async settled (): Promise<Array<Received<R>>> {
    return this.#step(this.settled, () => {})
  }

  /** Ends the connection, and the app if that was made by `drive`. */
  async [Symbol.asyncDispose] (): Promise<void> {
    const { client, shared, connection, app, ownsApp } = this.#parts
    await client[Symbol.asyncDispose]()
    shared.forget(connection)
    if (ownsApp) await app.close()
  }

  async #notify (
    message: SystemMessage,
    from: (...args: never[]) => unknown
  ): Promise<Array<Received<R>>> {
    return this.#step(from, ({ connection }) =>
      connection.notify(message)
        ? undefined
        : `no handler for the ${message.type}, or no connection any more`
    )
  }

  async #step (
    from: (...args: never[]) => unknown,
    act: (parts: Parts<R>) => string | undefined | void
  ): Promise<Array<Received<R>>> {
    const fail = this.#expectation(from)
    const problem = act(this.#parts)
    if (problem !== undefined) throw fail(problem)
    await this.#parts.shared.settle(this.#parts.timeoutMs, fail)
    if (this.#parts.client.problem !== undefined) throw fail(this.#parts.client.problem)
    const messages = this.sent.slice(this.#seen)
    this.#seen = this.sent.length
    return messages
  }

  #expectation (from: (...args: never[]) => unknown): (problem: string) => Error {
    return this.#parts.client.expectation(from)
  }
}

/** An app with that route alone, at a URL that takes these params. */
async function buildApp (route: DrivableRoute, params: object): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(websock, { checkOrigin: false })
  const names = Object.keys(params).map((name) => name === '*' ? '/*' : `/:${name}`)
  app.route({ method: 'GET', url: names.join('') || '/', ...route } as never)
  return app
}
