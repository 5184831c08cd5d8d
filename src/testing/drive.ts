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
   * An app that has the route, with its compilers, decorators and hooks. Default: a new app with
   * only this route. The connections of the app share one clock, which stops now.
   */
  readonly app?: FastifyInstance
}

/** A route of `defineWebsocketRoute`, or other route options with a `websocketHandler`. */
export interface DrivableRoute {
  readonly schema?: object
  readonly websocketHandler: object
}

/**
 * Runs a handler without a network. The route's hooks, schemas, mailbox and serializers run as in
 * an app, over a stream in memory. Each step resolves when the handler is idle again.
 *
 * Rejects when the upgrade is refused. Use `connect` to test refusals.
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
 * A connection of `drive`. Each step resolves with the messages that the client has received since
 * the last step.
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

  /** The handler's state. */
  get state (): StateOf<R> { return this.#parts.connection.state as StateOf<R> }

  /** All messages that the client has received. */
  get sent (): ReadonlyArray<Received<R>> { return this.#parts.client.received }

  /** The reason of the end, as `terminate` gets it. Undefined before the end. */
  get end (): TerminateReason | undefined { return this.#parts.connection.endReason }

  /** The client's close code and reason. Rejects when the connection does not end in time. */
  get closed (): Promise<ClosedWith> { return this.#parts.client.closed }

  /** Sends a message from the client. */
  async receive (message: Sent<R>): Promise<Array<Received<R>>> {
    return this.#step(this.receive, ({ client }) => client.send(message))
  }

  /** Sends a frame from the client without encoding: a string as text, bytes as binary. */
  async receiveRaw (data: string | Uint8Array): Promise<Array<Received<R>>> {
    return this.#step(this.receiveRaw, ({ client }) => client.sendRaw(data))
  }

  /** Sends a ping from the client. */
  async ping (data: string | Uint8Array = ''): Promise<Array<Received<R>>> {
    return this.#step(this.ping, ({ client }) => client.ping(data))
  }

  /** Posts an info to the mailbox, like `ref.post`. Rejects when the mailbox refuses it. */
  async post (info: InfoOf<R>): Promise<Array<Received<R>>> {
    return this.#step(this.post, ({ connection }) =>
      connection.offer(info) ? undefined : 'the mailbox refused the info'
    )
  }

  /** Calls `handlePresence`. Rejects when the handler has none. `gap` and `drain` do the same. */
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
   * Advances the clock of `ws.postAfter` and `ws.postInterval`, timer by timer, for all connections
   * of the app.
   */
  async advance (ms: number): Promise<Array<Received<R>>> {
    const { shared, timeoutMs } = this.#parts
    const fail = this.#expectation(this.advance)
    await shared.clock.advance(ms, () => shared.settle(timeoutMs, fail))
    return this.settled()
  }

  /** Closes the connection from the client. */
  async disconnect (code: number = closeCodes.normal, reason = ''): Promise<Array<Received<R>>> {
    await this.#parts.client.close(code, reason)
    return this.settled()
  }

  /** Destroys the client's socket, without a close frame. */
  async cut (): Promise<Array<Received<R>>> {
    return this.#step(this.cut, ({ client }) => { client.socket.destroy() })
  }

  /**
   * Resolves when the handler is idle. Use it after other actions of the test, such as a broadcast.
   */
  async settled (): Promise<Array<Received<R>>> {
    return this.#step(this.settled, () => {})
  }

  /** Ends the connection. Closes the app if `drive` has created it. */
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
        : `no handler for the ${message.type}, or the connection has ended`
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

/** Builds an app with only this route, at a URL with these params. */
async function buildApp (route: DrivableRoute, params: object): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(websock, { checkOrigin: false })
  const names = Object.keys(params).map((name) => name === '*' ? '/*' : `/:${name}`)
  app.route({ method: 'GET', url: names.join('') || '/', ...route } as never)
  return app
}
