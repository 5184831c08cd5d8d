import { duplexPair, type Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { parseAddress } from '../asyncapi/address.ts'
import type { Connection } from '../connection/connection.ts'
import { FST_WEBSOCK_UNEXPECTED } from '../errors.ts'
import { findInternals, type Internals } from '../plugin/plugin.ts'
import { HandClock } from './hand-clock.ts'
import { now, turn } from './real-time.ts'

// After this many idle turns no bytes are in transit between the two ends of a stream in memory.
const QUIET_TURNS = 3

const driven = new WeakMap<object, DrivenApp>()

/** An app whose connections of `drive` share one clock, which the test advances. */
export class DrivenApp {
  readonly clock = new HandClock()
  readonly #app: FastifyInstance
  readonly #internals: Internals
  readonly #connections = new Set<Connection>()

  private constructor (app: FastifyInstance, internals: Internals) {
    this.#app = app
    this.#internals = internals
    internals.loop.clock = this.clock
  }

  /** Returns the same object for each call with the same app. */
  static of (app: FastifyInstance): DrivenApp {
    const internals = findInternals(app)
    if (internals === undefined) {
      throw new FST_WEBSOCK_UNEXPECTED('an app without fastify-websock: register it first')
    }
    const found = driven.get(app.server) ?? new DrivenApp(app, internals)
    driven.set(app.server, found)
    return found
  }

  /** The URL of the route with this handler, with params and query filled in. */
  urlOf (handler: object, params: object, query: object): string {
    const route = this.#internals.onRoute.routes.find(({ context }) => context?.handler === handler)
    if (route?.context === undefined) {
      throw new FST_WEBSOCK_UNEXPECTED(
        'an app that does not have this route: declare it before `drive`'
      )
    }
    const { address, parameters } = parseAddress(route.context.url)
    const path = parameters.reduce((filled, { name, key, optional }) => {
      const value = (params as Record<string, unknown>)[key]
      if (value === undefined && !optional) {
        throw new FST_WEBSOCK_UNEXPECTED(`no param \`${key}\` for ${address}`)
      }
      const text = String(value ?? '')
      return filled.replace(`{${name}}`, () =>
        key === '*' ? encodeURI(text) : encodeURIComponent(text)
      )
    }, address)
    const search = new URLSearchParams(
      Object.entries(query).flatMap(([key, value]) =>
        [value]
          .flat()
          .filter((item) => item !== undefined)
          .map((item): [string, string] => [key, String(item)])
      )
    )
    return search.size === 0 ? path : `${path}?${search.toString()}`
  }

  /** Returns both ends of a stream in memory. The server uses the second. */
  openStream (): [Duplex, Duplex] {
    const [ours, theirs] = duplexPair()
    // The end of one side closes the other, as with a socket. It closes a turn later, because the
    // bytes written before must be read first.
    theirs.once('close', () => { setImmediate(() => ours.destroy()) })
    ours.once('close', () => { setImmediate(() => theirs.destroy()) })
    Object.assign(theirs, { remoteAddress: '127.0.0.1' })
    const { server } = this.#app
    server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', theirs)
    return [ours, theirs]
  }

  /** Finds the connection on a stream. */
  find (stream: Duplex): Connection {
    for (const connection of this.#internals.registry.values()) {
      if (connection.options.socket !== stream) continue
      this.#connections.add(connection)
      return connection
    }
    throw new FST_WEBSOCK_UNEXPECTED('the connection ended before `drive` could find it')
  }

  /** Resolves when all driven connections of the app are idle. Rejects after `timeoutMs`. */
  async settle (timeoutMs: number, fail: (problem: string) => Error): Promise<void> {
    const deadline = now() + timeoutMs
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      await turn()
      const isBusy = [...this.#connections].some(
        (connection) => connection.callbackRuns || connection.waiting > 0
      )
      quiet = isBusy ? 0 : quiet + 1
      if (now() > deadline) throw fail(`a callback still runs after ${timeoutMs} ms`)
    }
  }

  forget (connection: Connection): void {
    this.#connections.delete(connection)
  }
}
