import { inspect } from 'node:util'
import type { Engine } from '../pubsub/engine.ts'
import { FST_WEBSOCK_INVALID_OPTION, FST_WEBSOCK_UNKNOWN_OPTION } from '../errors.ts'
import type { RateLimit } from '../connection/rate-limit.ts'
import type { SlowPeerPolicy } from '../transport/send-queue-owner.ts'
import type { BinaryCodec, TextCodec } from '../wire/codec.ts'
import {
  CONNECTION_LOG_FIELDS, CONNECTION_LOG_LEVELS, type ConnectionLogField
} from '../telemetry/connection-log-options.ts'
import type { CheckOrigin } from '../upgrade/origin.ts'
import type { ConnectionKey } from './connection-registry.ts'
import {
  BOOLEAN, MIN_PAYLOAD_BYTES, eachFits, integer, isCheckOrigin, isCodec, isEngine,
  isListOf, isPerKey, isRecord, isShutdownCode, isToken, oneOf, type Rule
} from './option-rules.ts'

/** The options of a route (`websocketOptions`). The default of each is the plugin's option. */
export interface WebsocketOptions {
  /**
   * The origins that may connect. Default true: pages of the request's own host, and clients
   * without an Origin header.
   */
  readonly checkOrigin?: CheckOrigin
  /** Supported subprotocols, best first. Default none. */
  readonly subprotocols?: readonly string[]
  /** Refuse with 400 a client that offers none of `subprotocols`. Default false. */
  readonly requireSubprotocol?: boolean
  /** Encodes and decodes messages. Default JSON over text frames. */
  readonly codec?: TextCodec | BinaryCodec
  /**
   * The most bytes of a received message, after inflation: 1 to 1 GiB. A larger message closes with
   * 1009. Default 1 MiB.
   */
  readonly maxMessageBytes?: number
  /**
   * Accept permessage-deflate (RFC 7692), without context takeover. `true`: with the default
   * threshold. Default false.
   */
  readonly compress?: boolean | CompressOptions
  /** The time without received bytes before a ping, in ms: 0 (off) to 1 day. Default 30 000. */
  readonly heartbeatIntervalMs?: number
  /** The time to wait for any byte after a ping, in ms: 0 (no limit) to 1 day. Default 20 000. */
  readonly heartbeatTimeoutMs?: number
  /**
   * The time without a data message after which the connection closes with 1000, in ms: 0 (off) to
   * 1 week. Default 0.
   */
  readonly idleTimeoutMs?: number
  /**
   * The number of waiting frames at which reading stops: 1 to 1 048 576. Reading resumes at half.
   * Default 1 024.
   */
  readonly maxMailboxLength?: number
  /**
   * The bytes of waiting frames at which reading stops: 1 to 1 GiB. Reading resumes at half.
   * Default 1 MiB.
   */
  readonly maxMailboxBytes?: number
  /**
   * The most waiting infos: 1 to 16 777 216. `infoOverflow` says what happens to one more. Default
   * 16 384.
   */
  readonly maxMailboxInfos?: number
  /**
   * What happens to an info beyond `maxMailboxInfos`: `close` ends the connection with 1013, `drop`
   * drops and counts the info. Default `close`.
   */
  readonly infoOverflow?: 'close' | 'drop'
  /**
   * The most bytes of JSON in all presence entries of one connection: 1 to 8 MiB. Default 64 KiB.
   */
  readonly maxPresenceBytes?: number
  /**
   * The most unsent bytes when a message is sent: 1 to 4 GiB. Each unsent write counts 256 bytes
   * more. `slowPeer` says what happens beyond it. Default 1 MiB.
   */
  readonly maxBufferedBytes?: number
  /**
   * What happens beyond `maxBufferedBytes`: `close` ends the connection with 1013, `drop` drops and
   * counts messages, `wait` stops the mailbox until half of `maxBufferedBytes` is sent. Default
   * `close`.
   */
  readonly slowPeer?: SlowPeerPolicy
  /**
   * The most frames (`messages`) or payload bytes that a client may send in an interval. Each
   * fragment and each control frame counts. Beyond it the connection closes with 1008, or reading
   * stops (`over`). Default off.
   */
  readonly rateLimit?: RateLimit
  /**
   * The time limit of an upgrade's hooks, in ms: 1 to 1 hour. After it the upgrade gets 503.
   * Default 10 000.
   */
  readonly upgradeTimeoutMs?: number
  /**
   * The time limit of an async `init`, in ms: 1 to 1 hour. After it the connection closes with
   * 1011. Default 10 000.
   */
  readonly initTimeoutMs?: number
  /**
   * The time from the first close frame, FIN or refusal until the socket is destroyed, in ms: 1 to
   * 1 hour. Default 5 000.
   */
  readonly closeTimeoutMs?: number
  /**
   * The time limit at the end of a connection, in ms: first of the running callback, then of
   * `terminate`. 1 to 1 hour. Default 5 000.
   */
  readonly terminateTimeoutMs?: number
  /**
   * The level of the log line at the end of a connection. `silent` turns that line off, and the
   * line at the beginning. Default `info`.
   */
  readonly connectionLogLevel?: (typeof CONNECTION_LOG_LEVELS)[number]
  /** The fields of that line: see docs/observing.md. Default all. */
  readonly connectionLogFields?: readonly ConnectionLogField[]
}

export interface CompressOptions {
  /** The minimum size of a compressed message, in bytes: 0 to 1 GiB. Default 1 024. */
  readonly threshold?: number
}

/** The options of `app.register(websock, options)`. */
export interface WebsockOptions extends WebsocketOptions {
  /** The most connections of the app: 1 to 16 777 216. One more gets 503. Default unlimited. */
  readonly maxConnections?: number
  /**
   * The most connections of one client IP, or of one key: `{ max, key (request) }`. One more gets
   * 429. Default unlimited.
   */
  readonly maxConnectionsPerKey?: number | ConnectionKey
  /** The close code of connections when the server closes. Default 1012. */
  readonly shutdownCode?: number
  /**
   * The engine that carries topics, refs and presence to other nodes: see docs/engines.md. Default
   * none: they stay in this process.
   */
  readonly engine?: Engine
  /** How `app.close()` and `app.websock.drain()` end connections. */
  readonly drain?: DrainOptions
}

export interface DrainOptions {
  /** The number of connections that are closed together: 1 to 16 777 216. Default 10 000. */
  readonly batchSize?: number
  /** The time between two batches, in ms: 0 to 1 hour. Default 2 000. */
  readonly batchIntervalMs?: number
  /**
   * The time after which the remaining connections get the close frame and their sockets are
   * destroyed, in ms: 1 to 1 day. Default 30 000.
   */
  readonly timeoutMs?: number
}

/** The options of the plugin or of a route, with defaults. */
export type ResolvedOptions = {
  readonly [K in Exclude<keyof WebsockOptions, 'compress' | 'drain'>]-?:
    NonNullable<WebsockOptions[K]> | undefined
} & {
  readonly [K in Exclude<keyof typeof DEFAULTS, 'compress'>]: NonNullable<WebsockOptions[K]>
} & {
  readonly compress: false | Required<CompressOptions>
  readonly drain: Required<DrainOptions>
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const MIB = 1024 * 1024

const DEFAULTS = {
  checkOrigin: true,
  subprotocols: [],
  requireSubprotocol: false,
  maxMessageBytes: MIB,
  compress: false,
  heartbeatIntervalMs: 30_000,
  heartbeatTimeoutMs: 20_000,
  idleTimeoutMs: 0,
  maxMailboxLength: 1024,
  maxMailboxBytes: MIB,
  maxMailboxInfos: 16_384,
  infoOverflow: 'close',
  maxPresenceBytes: 64 * 1024,
  maxBufferedBytes: MIB,
  slowPeer: 'close',
  upgradeTimeoutMs: 10_000,
  initTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  terminateTimeoutMs: 5_000,
  connectionLogLevel: 'info',
  shutdownCode: 1012
} as const satisfies WebsockOptions

// The default of ws.
const COMPRESS_DEFAULTS: Required<CompressOptions> = { threshold: 1024 }

// The defaults of Phoenix's socket drainer.
const DRAIN_DEFAULTS: Required<DrainOptions> = {
  batchSize: 10_000,
  batchIntervalMs: 2_000,
  timeoutMs: 30_000
}

const RATE_LIMIT_RULES: { readonly [K in keyof Required<RateLimit>]: Rule } = {
  messages: integer(1, 16_777_216),
  bytes: integer(1, 4096 * MIB),
  intervalMs: integer(1, HOUR),
  over: oneOf('close', 'wait')
}

const COMPRESS_RULES: { readonly [K in keyof Required<CompressOptions>]: Rule } = {
  threshold: integer(0, 1024 * MIB)
}

const DRAIN_RULES: { readonly [K in keyof Required<DrainOptions>]: Rule } = {
  batchSize: integer(1, 16_777_216),
  batchIntervalMs: integer(0, HOUR),
  timeoutMs: integer(1, DAY)
}

const ROUTE_RULES: { readonly [K in keyof Required<WebsocketOptions>]: Rule } = {
  checkOrigin: {
    words:
      'true, false, a function, or a list of origins such as "https://example.com", ' +
      '"//example.com:888", "//*.example.com"',
    fits: isCheckOrigin
  },
  subprotocols: {
    words: 'a list of tokens (RFC 9110 §5.6.2)',
    fits: (value) => isListOf(value, isToken)
  },
  requireSubprotocol: BOOLEAN,
  codec: {
    words:
      'an object with opcode ("text" or "binary"), decode and encode, and optionally a contentType',
    fits: isCodec
  },
  maxMessageBytes: integer(1, 1024 * MIB),
  compress: {
    words: 'a boolean, or { threshold }: an integer from 0 to 1073741824',
    fits: (value) =>
      typeof value === 'boolean' || (isRecord(value) && eachFits(value, COMPRESS_RULES))
  },
  heartbeatIntervalMs: integer(0, DAY),
  heartbeatTimeoutMs: integer(0, DAY),
  idleTimeoutMs: integer(0, 7 * DAY),
  maxMailboxLength: integer(1, 1_048_576),
  maxMailboxBytes: integer(1, 1024 * MIB),
  maxMailboxInfos: integer(1, 16_777_216),
  infoOverflow: oneOf('close', 'drop'),
  maxPresenceBytes: integer(1, 8 * MIB),
  maxBufferedBytes: integer(1, 4096 * MIB),
  slowPeer: oneOf('close', 'drop', 'wait'),
  rateLimit: {
    words:
      '{ messages, bytes, intervalMs, over } with messages or bytes: messages an integer from 1 ' +
      'to 16777216, bytes from 1 to 4294967296, intervalMs from 1 to 3600000, over "close" or ' +
      '"wait"',
    fits: (value) =>
      isRecord(value) &&
      ('messages' in value || 'bytes' in value) &&
      eachFits(value, RATE_LIMIT_RULES)
  },
  upgradeTimeoutMs: integer(1, HOUR),
  initTimeoutMs: integer(1, HOUR),
  closeTimeoutMs: integer(1, HOUR),
  terminateTimeoutMs: integer(1, HOUR),
  connectionLogLevel: oneOf(...CONNECTION_LOG_LEVELS),
  connectionLogFields: {
    words: `a list of ${CONNECTION_LOG_FIELDS.join(', ')}`,
    fits: (value) => isListOf(value, (item) => CONNECTION_LOG_FIELDS.some((name) => name === item))
  }
}

const PLUGIN_RULES: { readonly [K in keyof Required<WebsockOptions>]: Rule } = {
  ...ROUTE_RULES,
  maxConnections: integer(1, 16_777_216),
  maxConnectionsPerKey: { words: 'an integer from 1 to 16777216, or { max, key }', fits: isPerKey },
  engine: {
    words: 'an engine, such as redisEngine(client), with a maxPayloadBytes ' +
      `of at least ${MIN_PAYLOAD_BYTES}`,
    fits: isEngine
  },
  shutdownCode: {
    words: '1000, 1001, 1012, 1013 or an integer from 3000 to 4999',
    fits: isShutdownCode
  },
  drain: {
    words:
      '{ batchSize, batchIntervalMs, timeoutMs }: batchSize an integer from 1 to 16777216, ' +
      'batchIntervalMs from 0 to 3600000, timeoutMs from 1 to 86400000',
    fits: (value) => isRecord(value) && eachFits(value, DRAIN_RULES)
  }
}

// The options of `register` that Fastify itself reads.
const FASTIFY_OPTIONS = new Set(['prefix', 'logLevel', 'logSerializers'])

/**
 * Checks the plugin's options and adds the defaults. Throws FST_WEBSOCK_UNKNOWN_OPTION or
 * FST_WEBSOCK_INVALID_OPTION.
 */
export function resolvePluginOptions (given: WebsockOptions): ResolvedOptions {
  const own = Object.fromEntries(
    Object.entries(given).filter(([name]) => !FASTIFY_OPTIONS.has(name))
  )
  const { compress, drain, ...checked } =
    check<WebsockOptions>(own, PLUGIN_RULES, 'of fastify-websock')
  return {
    codec: undefined,
    rateLimit: undefined,
    maxConnections: undefined,
    maxConnectionsPerKey: undefined,
    engine: undefined,
    connectionLogFields: undefined,
    ...DEFAULTS,
    ...checked,
    compress: resolveCompress(compress ?? DEFAULTS.compress),
    drain: { ...DRAIN_DEFAULTS, ...drain }
  }
}

/**
 * Checks the options of one drain. Their defaults are the plugin's. Throws like
 * `resolvePluginOptions`.
 */
export function resolveDrainOptions (
  given: DrainOptions,
  plugin: ResolvedOptions
): Required<DrainOptions> {
  const { drain } = check<WebsockOptions>({ drain: given }, PLUGIN_RULES, 'of app.websock.drain')
  return { ...plugin.drain, ...drain }
}

/**
 * Checks a route's `websocketOptions`. Their defaults are the plugin's. Throws like
 * `resolvePluginOptions`.
 */
export function resolveRouteOptions (
  given: WebsocketOptions | undefined,
  plugin: ResolvedOptions,
  route: string
): ResolvedOptions {
  if (given !== undefined && !isRecord(given)) {
    const name = `\`websocketOptions\` of ${route}`
    throw new FST_WEBSOCK_INVALID_OPTION(name, 'an object', show(given))
  }
  const { compress, ...checked } =
    check<WebsocketOptions>({ ...given }, ROUTE_RULES, `in the websocketOptions of ${route}`)
  const options: ResolvedOptions = {
    ...plugin,
    ...checked,
    compress: compress === undefined ? plugin.compress : resolveCompress(compress)
  }
  // The route would refuse every client.
  if (options.requireSubprotocol && options.subprotocols.length === 0) {
    const name = `\`requireSubprotocol\` of ${route}`
    throw new FST_WEBSOCK_INVALID_OPTION(name, 'false when `subprotocols` is empty', 'true')
  }
  return options
}

function resolveCompress (given: boolean | CompressOptions): ResolvedOptions['compress'] {
  return given && { ...COMPRESS_DEFAULTS, ...(given === true ? {} : given) }
}

function check<O> (
  given: Readonly<Record<string, unknown>>,
  rules: { readonly [K in keyof Required<O>]: Rule },
  where: string
): O {
  const set = Object.entries(given).filter(([, value]) => value !== undefined)
  for (const [name, value] of set) {
    const rule = Object.hasOwn(rules, name) ? rules[name as keyof O] : undefined
    if (rule === undefined) {
      throw new FST_WEBSOCK_UNKNOWN_OPTION(name, where, Object.keys(rules).join(', '))
    }
    if (!rule.fits(value)) {
      throw new FST_WEBSOCK_INVALID_OPTION(`\`${name}\` ${where}`, rule.words, show(value))
    }
  }
  return Object.fromEntries(set) as O
}

function show (value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity }).slice(0, 80)
}
