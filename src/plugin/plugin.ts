import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { heartbeatPeriodMs, startHeartbeat } from '../connection/heartbeat.ts'
import { Ref } from '../connection/ref.ts'
import { nameOfTopic } from '../connection/topic.ts'
import {
  FST_WEBSOCK_ALREADY_REGISTERED,
  FST_WEBSOCK_FOREIGN_PLUGIN,
  FST_WEBSOCK_INVALID_ADDRESS
} from '../errors.ts'
import { refuseConflict, refuseInRegister } from './conflicts.ts'
import { EventLoop } from '../event-loop.ts'
import type { PreparedMessage } from '../transport/prepared-message.ts'
import { WriteBatcher } from '../transport/write-batcher.ts'
import { PubSub } from '../pubsub/pubsub.ts'
import { buildStats } from '../telemetry/stats.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { WebsocketConnections } from './connections.ts'
import { drain } from './drain.ts'
import { UpgradeGate } from '../upgrade/upgrade-gate.ts'
import { wrapMethod } from './method-wrapper.ts'
import { wrapRouteMethods } from './route-methods.ts'
import { checkHandshake } from '../upgrade/handshake.ts'
import { OnRouteHooks, warnOfAnyOrigin } from './on-route.ts'
import {
  resolveDrainOptions,
  resolvePluginOptions,
  type ResolvedOptions,
  type WebsockOptions
} from './options.ts'
import { ConnectionRegistry } from './connection-registry.ts'
import { RouteTable } from './route-table.ts'
import { admissionRefusal, findRoute, type PluginContext } from './route.ts'
import type {} from './types.ts'

/** The objects of the plugin that the entries `asyncapi` and `testing` use. */
export interface Internals {
  readonly loop: EventLoop
  readonly registry: ConnectionRegistry
  readonly onRoute: OnRouteHooks
}

const servers = new WeakMap<object, Internals>()

/**
 * The Fastify plugin: `await app.register(websock, options)`. Throws a coded error for a wrong or
 * unknown option.
 */
export const websock = fp(register, { fastify: '5.x', name: 'fastify-websock' })

async function register (instance: FastifyInstance, given: WebsockOptions): Promise<void> {
  if (servers.has(instance.server)) throw new FST_WEBSOCK_ALREADY_REGISTERED()
  if (instance.hasDecorator('websocketServer')) throw new FST_WEBSOCK_FOREIGN_PLUGIN()
  refuseConflict(instance, 0)
  const options = resolvePluginOptions(given)
  if (options.checkOrigin === false) warnOfAnyOrigin(instance, 'all websocket routes')

  const registry = new ConnectionRegistry(options)
  const loop = new EventLoop()
  const routes = new RouteTable(instance, wrapRouteMethods(instance))
  const telemetry = new Telemetry()
  const gate = new UpgradeGate(
    instance.server,
    options,
    loop,
    (request) => routes.isWebsocketRoute(request),
    telemetry
  )
  // Identifies this process, because addresses are valid in all processes.
  const node = randomBytes(9).toString('base64url')
  const topics = new PubSub<PreparedMessage>({
    node,
    find: (address) => registry.get(address),
    engine: options.engine,
    log: instance.log
  })
  const sharing = { loop, batcher: new WriteBatcher(loop) }
  const nextId = countFrom(node)
  const plugin: PluginContext = { gate, registry, topics, sharing, telemetry, nextId }
  decorate(instance, options, plugin)
  const onRoute = new OnRouteHooks(options, plugin)
  servers.set(instance.server, { loop, registry, onRoute })
  // Before the register below: @fastify/websocket wraps each handler in its own onRoute hook, and
  // hooks run in the order they were added.
  instance.addHook('onRoute', function (route) { onRoute.before(this, route) })
  takeOverHangUp(instance, gate)
  await registerWebsocketPlugin(instance, options, plugin)
  refuseInRegister(instance)
  instance.addHook('onRoute', (route) => onRoute.after(route))
  let stopHeartbeat = (): void => {}
  instance.addHook('onReady', async () => {
    refuseConflict(instance, 1)
    routes.build()
    onRoute.compile()
    const periodMs = Math.min(...onRoute.routes.map((route) => heartbeatPeriodMs(route.options)))
    if (periodMs < Infinity) stopHeartbeat = startHeartbeat(periodMs, () => registry.values())
    await topics.start()
  })
  instance.addHook('onClose', async () => stopHeartbeat())
}

/** The internals of an app's plugin. Undefined when the app has not registered it. */
export function findInternals ({ server }: Pick<FastifyInstance, 'server'>): Internals | undefined {
  return servers.get(server)
}

function decorate (
  instance: FastifyInstance,
  options: ResolvedOptions,
  { gate, registry, topics, telemetry }: PluginContext
): void {
  instance.decorate('websock', {
    ref (address) {
      if (typeof address !== 'string') throw new FST_WEBSOCK_INVALID_ADDRESS(typeof address)
      return new Ref(address, topics)
    },
    connections: new WebsocketConnections(registry),
    subscribe: (topic, listener) => topics.listen(nameOfTopic(topic), listener),
    unsubscribe: (topic, listener) => topics.unlisten(nameOfTopic(topic), listener),
    subscriptionReady: (topic) => topics.subscriptionReady(nameOfTopic(topic)),
    track: (topic, key, meta) => topics.track(nameOfTopic(topic), key, meta),
    untrack: (topic, key) => topics.untrack(nameOfTopic(topic), key),
    presence: (topic) => topics.presence(nameOfTopic(topic)),
    ready: () => topics.ready,
    stats: () => buildStats(telemetry, gate.pending, topics.stats()),
    get lostPublications () {
      return topics.stats().engine?.lostPublications ?? 0
    },
    publish: (topic, info, { except } = {}) =>
      topics.publish(nameOfTopic(topic), info, { except: idOf(except) }),
    broadcast: (topic, message, { except } = {}) =>
      topics.broadcast(nameOfTopic(topic), message, { except: idOf(except) }),
    drain: (given = {}) =>
      drain(registry, resolveDrainOptions(given, options), options.shutdownCode),
    async validateUpgrade (request) {
      const own = findRoute(request)?.options ?? options
      const headers = gate.headersOf(request.raw)
      return (
        (await checkHandshake(request, headers, own)) ??
        admissionRefusal(request, headers, own, registry) ??
        null
      )
    }
  })
}

/**
 * Closes the socket of each refused upgrade after its answer, also where no route matches.
 *
 * @fastify/websocket does so only for routes with its hooks. It also destroys the socket directly
 *   after it has written the answer, so that the client may lose the end of the answer.
 */
function takeOverHangUp (instance: FastifyInstance, gate: UpgradeGate): void {
  // @fastify/websocket creates the response and passes it to `routing`. No other place sees the
  // responses for which no hook runs: of a malformed URL, or of a route outside this context.
  wrapMethod(instance, 'routing', (_context, [request, response]) => {
    gate.find(request as IncomingMessage)?.answerWith(response as ServerResponse)
  })
  // The first hook that knows the route, so its time limits apply to all later hooks.
  instance.addHook('onRequest', (request, reply, done) => {
    const upgrade = gate.find(request.raw)
    const own = findRoute(request)?.options
    if (upgrade === undefined) gate.answering(request.raw.socket, reply.raw)
    else if (own !== undefined) upgrade.setRoute(request.routeOptions.url ?? '', own)
    done()
  })
  // Added before the onResponse hook of @fastify/websocket, which reads `request.ws`.
  instance.addHook('onResponse', (request, reply, done) => {
    if (gate.find(request.raw) !== undefined) request.ws = false
    else gate.answered(request.raw.socket, reply.raw)
    done()
  })
}

async function registerWebsocketPlugin (
  instance: FastifyInstance,
  options: ResolvedOptions,
  plugin: PluginContext
): Promise<void> {
  await instance.register(fastifyWebsocket, {
    options: {
      server: plugin.gate.upgrades as never,
      maxPayload: options.maxMessageBytes,
      ...{ closeTimeout: options.closeTimeoutMs }
    },
    preClose: () => shutDown(instance, options, plugin)
  })
  instance.websocketServer.on('connection', (_websocket, request) =>
    plugin.gate.find(request)?.accept()
  )
}

/** Ends everything that `server.close()` would wait for. Each part has a time limit. */
async function shutDown (
  instance: FastifyInstance,
  options: ResolvedOptions,
  { gate, registry, topics }: PluginContext
): Promise<void> {
  const { shutdownCode } = options
  registry.startDraining()
  gate.close()
  for (const websocket of instance.websocketServer.clients) websocket.close(shutdownCode)
  await drain(registry, options.drain, shutdownCode)
  await topics.stop()
}

function idOf (ref: Ref<never> | string | undefined): string | undefined {
  return typeof ref === 'object' ? ref.address : ref
}

/**
 * Returns a function that creates the ids of connections. An id is also the connection's address.
 */
function countFrom (node: string): () => string {
  let last = 0
  // Not a template literal, because V8 would keep both parts in memory.
  return () => [node, (++last).toString(36)].join('.')
}
