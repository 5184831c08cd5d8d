import type { RequestOptions } from 'node:https'
import type { Server as NetServer } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { TestConnection } from './test-connection.ts'
import type { ExpectOptions, Received, Sent } from './types.ts'
import { askForUpgrade, type UpgradeOptions } from './upgrade.ts'

export interface ConnectOptions<F extends string = 'event'>
  extends ExpectOptions<F>, UpgradeOptions {}

/**
 * The part of a Fastify instance that `connect` uses. It fits instances with any type parameters.
 */
export type AnyApp = Pick<FastifyInstance, 'server' | 'listen'> & { ready (): PromiseLike<unknown> }

/**
 * Opens a WebSocket to an app, over TCP. An app that does not listen yet is made to listen on a
 * free port of 127.0.0.1. The test must close the app.
 *
 * `R`: a route of `defineWebsocketRoute`, or a contract. `url`: path and query. Resolves also when
 * the upgrade is refused: see `refused`. Rejects when there is no answer.
 */
export async function connect<R = unknown, F extends string = 'event'> (
  app: AnyApp, url: string, options: ConnectOptions<F> = {}
): Promise<TestConnection<Received<R>, Sent<R>, F>> {
  await listen(app)
  const { server } = app
  return new TestConnection(
    await askForUpgrade({ ...addressOf(server), path: url }, server instanceof TlsServer, options),
    options
  )
}

// Two clients may connect at once to an app that does not listen yet.
const listening = new WeakMap<object, Promise<unknown>>()

async function listen (app: AnyApp): Promise<void> {
  await app.ready()
  const { server } = app
  if (server.listening) return
  if (!listening.has(server)) listening.set(server, app.listen({ host: '127.0.0.1', port: 0 }))
  await listening.get(server)
}

function addressOf (server: NetServer): RequestOptions {
  // Certificates of tests are self-signed.
  const options = { agent: false, rejectUnauthorized: false }
  const address = server.address()
  if (typeof address === 'string') return { ...options, socketPath: address }
  if (address === null) return options
  const isAny = address.address === '::' || address.address === '0.0.0.0'
  return { ...options, host: isAny ? 'localhost' : address.address, port: address.port }
}
