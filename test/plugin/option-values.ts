import type { WebsockOptions } from '../../src/index.ts'
import type { Engine } from '../../src/pubsub/engine.ts'

/** Values that an option accepts and refuses. */
interface Row {
  /** True for an option of the plugin that a route may not set. */
  readonly pluginOnly?: true
  readonly accepted: readonly unknown[]
  readonly refused: readonly unknown[]
  /** Matches the rule in the error text. */
  readonly words: RegExp
}

export const MIB = 1024 * 1024
const DAY = 24 * 60 * 60 * 1000
export const circle: Record<string, unknown> = {}
circle['self'] = circle
const decode = (data: unknown): unknown => data
const encode = (): string => ''
const nothing = async (): Promise<void> => {}
const engine: Engine = {
  name: 'none',
  maxPayloadBytes: 256 * 1024,
  start: nothing,
  subscribe: nothing,
  unsubscribe: nothing,
  publish: nothing,
  stop: nothing
}
const boolean: Row = {
  accepted: [true, false],
  refused: [null, 0, 1, '', 'true', [], {}],
  words: /^a boolean$/
}

function integer (min: number, max: number): Row {
  const words = new RegExp(`^an integer from ${min} to ${max}$`)
  return {
    accepted: [min, min + 1, max - 1, max],
    refused: [
      min - 1,
      max + 1,
      min + 0.5,
      NaN,
      Infinity,
      -Infinity,
      null,
      true,
      '',
      `${min}`,
      10n,
      [min],
      {},
      circle,
      Symbol('x'),
      () => min
    ],
    words
  }
}

/** One row for each option. options.test.ts fails for an option without a row. */
export const ROWS: { readonly [K in keyof Required<WebsockOptions>]: Row } = {
  checkOrigin: {
    accepted: [
      true,
      false,
      () => true,
      async () => false,
      [],
      ['https://example.com'],
      ['//example.com'],
      ['//example.com:888', 'http://localhost:3000'],
      ['//*.example.com', 'https://*.example.com:8443'],
      ['//[::1]:80']
    ],
    refused: [
      null,
      0,
      1,
      '',
      'https://example.com',
      {},
      [1],
      [null],
      [''],
      ['example.com'],
      ['https://'],
      ['https://example.com/'],
      ['https://example.com/path'],
      ['//user@example.com'],
      ['//example.com:port'],
      ['*'],
      ['//*'],
      ['//*.'],
      ['//a.*.example.com'],
      ['//example.com', 'example.org'],
      [['//example.com']]
    ],
    words: /^true, false, a function, or a list of origins such as /
  },
  subprotocols: {
    accepted: [[], ['chat'], ['a', "b.c-d_1!#$%&'*+^`|~"]],
    refused: [null, '', 'chat', {}, true, [''], ['a b'], ['a,b'], ['é'], ['a"'], [1], [['a']]],
    words: /^a list of tokens/
  },
  requireSubprotocol: boolean,
  codec: {
    accepted: [{ opcode: 'text', decode, encode }, { opcode: 'binary', decode, encode }],
    refused: [
      null,
      true,
      'json',
      {},
      decode,
      { opcode: 'text', decode },
      { opcode: 'text', encode },
      { decode, encode },
      { opcode: 'ping', decode, encode },
      { opcode: 1, decode, encode },
      { opcode: 'text', decode: 'x', encode }
    ],
    words: new RegExp('^an object with opcode \\("text" or "binary"\\), decode and encode, ' +
      'and optionally a contentType$')
  },
  maxMessageBytes: integer(1, 1024 * MIB),
  compress: {
    accepted: [true, false, {}, { threshold: 0 }, { threshold: 1024 * MIB }],
    refused: [
      null,
      0,
      1,
      '',
      'true',
      [],
      { threshold: -1 },
      { threshold: 1024 * MIB + 1 },
      { threshold: 0.5 },
      { threshold: '1' },
      { threshold: 1, level: 1 }
    ],
    words: /^a boolean, or \{ threshold \}: an integer from 0 to 1073741824$/
  },
  heartbeatIntervalMs: integer(0, DAY),
  heartbeatTimeoutMs: integer(0, DAY),
  idleTimeoutMs: integer(0, 7 * DAY),
  maxMailboxLength: integer(1, 1_048_576),
  maxMailboxBytes: integer(1, 1024 * MIB),
  maxMailboxInfos: integer(1, 16_777_216),
  infoOverflow: {
    accepted: ['close', 'drop'],
    refused: [null, '', 'wait', 'Close', true, ['close']],
    words: /^"close" or "drop"$/
  },
  maxPresenceBytes: integer(1, 8 * MIB),
  maxBufferedBytes: integer(1, 4096 * MIB),
  slowPeer: {
    accepted: ['close', 'drop', 'wait'],
    refused: [null, '', 'Drop', true, ['close']],
    words: /^"close", "drop" or "wait"$/
  },
  rateLimit: {
    accepted: [
      { messages: 1 },
      { bytes: 4096 * MIB },
      { messages: 16_777_216, bytes: 1, intervalMs: 3_600_000, over: 'wait' },
      { messages: 1, over: 'close' }
    ],
    refused: [
      null,
      0,
      true,
      [],
      {},
      { intervalMs: 1 },
      { over: 'wait' },
      { messages: 0 },
      { messages: 1.5 },
      { messages: 16_777_217 },
      { bytes: 0 },
      { bytes: 4096 * MIB + 1 },
      { messages: 1, intervalMs: 0 },
      { messages: 1, intervalMs: 3_600_001 },
      { messages: 1, over: 'drop' },
      { messages: 1, perSecond: 1 },
      { messages: undefined }
    ],
    words: /^\{ messages, bytes, intervalMs, over \} with /
  },
  initTimeoutMs: integer(1, DAY / 24),
  upgradeTimeoutMs: integer(1, DAY / 24),
  closeTimeoutMs: integer(1, DAY / 24),
  terminateTimeoutMs: integer(1, DAY / 24),
  connectionLogLevel: {
    accepted: ['silent', 'trace', 'debug', 'info', 'warn', 'error'],
    refused: [null, '', 'fatal', 'INFO', 30, ['info']],
    words: /^"silent", "trace", "debug", "info", "warn" or "error"$/
  },
  connectionLogFields: {
    accepted: [[], ['route', 'code'], ['websocket', 'durationMs', 'error']],
    refused: [null, 'route', ['url'], [''], [1], [['route']]],
    words: /^a list of websocket, route, durationMs, /
  },
  maxConnections: { ...integer(1, 16_777_216), pluginOnly: true },
  engine: {
    pluginOnly: true,
    accepted: [engine],
    refused: [
      'redis',
      {},
      null,
      { ...engine, maxPayloadBytes: 256 * 1024 - 1 },
      { ...engine, stop: undefined }
    ],
    words: /an engine/
  },
  maxConnectionsPerKey: {
    pluginOnly: true,
    accepted: [1, 16_777_216, { max: 1, key: () => 'a' }],
    refused: [
      0,
      -1,
      1.5,
      NaN,
      16_777_217,
      null,
      true,
      '1',
      [],
      {},
      () => 'a',
      { max: 1 },
      { key: () => 'a' },
      { max: 0, key: () => 'a' },
      { max: '1', key: () => 'a' },
      { max: 1, key: 'ip' }
    ],
    words: /^an integer from 1 to 16777216, or \{ max, key \}$/
  },
  shutdownCode: {
    pluginOnly: true,
    accepted: [1000, 1001, 1012, 1013, 3000, 4999],
    refused: [
      999, 1002, 1004, 1005, 1006, 1011, 1015, 2999, 5000, 1012.5, NaN, null, '1012', [1012], {}
    ],
    words: /^1000, 1001, 1012, 1013 or an integer from 3000 to 4999$/
  },
  drain: {
    pluginOnly: true,
    accepted: [
      {},
      { batchSize: 1, batchIntervalMs: 0, timeoutMs: 1 },
      { batchSize: 16_777_216, batchIntervalMs: 3_600_000, timeoutMs: DAY }
    ],
    refused: [
      null, true, 30_000, [], { batchSize: 0 }, { batchSize: 1.5 }, { batchIntervalMs: -1 },
      { batchIntervalMs: 3_600_001 }, { timeoutMs: 0 }, { timeoutMs: DAY + 1 }, { timeout: 1 },
      { timeoutMs: '1' }
    ],
    words: /^\{ batchSize, batchIntervalMs, timeoutMs \}: /
  }
}
