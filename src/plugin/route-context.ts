import type { FastifyInstance, RouteOptions } from 'fastify'
import type { RouteContext } from '../connection/route-context.ts'
import type { AnyHandler } from '../connection/handler.ts'
import { warnOnce } from '../connection/log.ts'
import { FST_WEBSOCK_INVALID_SCHEMA, FST_WEBSOCK_UNHANDLED } from '../errors.ts'
import { messageOf } from '../foreign-value.ts'
import { PreparedMessage } from '../transport/prepared-message.ts'
import { buildCheck, Mismatch, type Check } from '../messages/check.ts'
import { buildEncode } from '../messages/encode.ts'
import { findUnhandled } from '../messages/handled.ts'
import { buildJsonCodec } from '../messages/json-codec.ts'
import { buildReceive, buildReceiveGuarded, type ReceiveOptions } from '../messages/receive.ts'
import { TypeToken } from '../messages/typed.ts'
import type { TextCodec } from '../wire/codec.ts'
import type { PluginContext, WebsocketRoute } from './route.ts'
import type { CompilerOptions } from './compiler-options.ts'
import { buildMessageCompilers } from './schema-compilers.ts'

/**
 * Builds the context that the connections of a route share, and compiles the route's message
 * schemas. Throws FST_WEBSOCK_INVALID_SCHEMA.
 */
export function buildRouteContext (
  instance: FastifyInstance,
  declared: RouteOptions,
  route: Pick<WebsocketRoute, 'name' | 'options'>,
  plugin: Pick<PluginContext, 'registry' | 'topics' | 'sharing' | 'telemetry'>,
  compilerOptions: CompilerOptions
): RouteContext {
  const { name, options } = route
  const handler = declared.websocketHandler as AnyHandler
  const { receive, send, info } = readSchemas(declared, name)
  const compilers = buildMessageCompilers(instance, declared, compilerOptions)
  const json = options.codec === undefined
  const codec = options.codec ?? buildJsonCodecOf(instance)
  const check = named(name, 'receive', () => buildReceiveCheck(receive, compilers.validator))
  const checkInfo = named(name, 'info', () =>
    buildInfoCheck(buildReceiveCheck(info, compilers.validator))
  )
  const encode = named(name, 'send', () => buildEncode({ schema: send, codec, json, compilers }))
  const unhandled = findUnhandled(handler, receive)
  if (unhandled !== undefined) throw new FST_WEBSOCK_UNHANDLED(name, unhandled)
  const warned: RouteContext['warned'] = new Set()
  const telemetry = plugin.telemetry.routeOf(declared.url)
  const receiving: ReceiveOptions = {
    handler,
    codec,
    check,
    unhandled: (ws) => warnOnce({ warned }, () => ws.log, 'message'),
    refused: (kind, ws) => telemetry.messageRefused(kind, ws)
  }
  return {
    url: declared.url,
    server: instance,
    warned,
    handler,
    limits: options,
    receive: buildReceive(receiving),
    receiveGuarded: buildReceiveGuarded(receiving),
    encode,
    prepare: (message) => new PreparedMessage(encode(message)),
    checkInfo,
    topics: plugin.topics,
    sharing: plugin.sharing,
    telemetry,
    onSocketClosed: (connection) => plugin.registry.socketClosed(connection),
    onGone: (connection) => plugin.registry.delete(connection)
  }
}

/** The JSON codec, with the instance's options against prototype poisoning. */
function buildJsonCodecOf ({ initialConfig }: FastifyInstance): TextCodec {
  return buildJsonCodec({
    protoAction: initialConfig.onProtoPoisoning ?? 'error',
    constructorAction: initialConfig.onConstructorPoisoning ?? 'error'
  })
}

function readSchemas (
  declared: RouteOptions,
  route: string
): { [K in 'receive' | 'send' | 'info']: object | undefined } {
  const { receive, send, info, ...others } = declared.schema?.websocket ?? {}
  // With a misspelt `receive` the route would accept every message.
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw new FST_WEBSOCK_INVALID_SCHEMA(route, unknown, 'the known schemas are receive, send ' +
      'and info')
  }
  return {
    receive: checkSchema(receive, route, 'receive'),
    send: checkSchema(send, route, 'send'),
    info: checkSchema(info, route, 'info')
  }
}

function checkSchema (schema: unknown, route: string, part: string): object | undefined {
  // JSON Schema allows `true` (matches everything) and `false` (matches nothing).
  if (typeof schema === 'boolean') return schema ? {} : { not: {} }
  if (schema === undefined || (typeof schema === 'object' && schema !== null)) return schema
  throw new FST_WEBSOCK_INVALID_SCHEMA(route, part, 'it is not an object')
}

function buildReceiveCheck (
  schema: object | undefined,
  compile: Parameters<typeof buildCheck>[1]
): Check | undefined {
  if (schema === undefined) return undefined
  return schema instanceof TypeToken ? (message) => message : buildCheck(schema, compile)
}

function buildInfoCheck (check: Check | undefined): ((info: unknown) => unknown) | undefined {
  return check && ((info) => {
    const checked = check(info)
    if (checked instanceof Mismatch) {
      throw new TypeError(`an info does not match its schema: ${checked.message}`)
    }
    return checked
  })
}

function named<T> (route: string, part: string, build: () => T): T {
  try {
    return build()
  } catch (cause) {
    const error = new FST_WEBSOCK_INVALID_SCHEMA(route, part, messageOf(cause))
    throw Object.assign(error, { cause })
  }
}
