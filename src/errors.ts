import createError from '@fastify/error'

/*
 * All errors of this library: code, text, HTTP status. docs/errors.md has a row for each error.
 * test/docs/reference.test.ts compares this file with that table.
 */

// ── at start
export const FST_WEBSOCK_NOT_REGISTERED = createError(
  'FST_WEBSOCK_NOT_REGISTERED',
  'Route %s has a `websocketHandler`, but fastify-websock is not loaded here yet: `await ' +
  'app.register(websock)` before the route, in this context or above it',
  500
)
export const FST_WEBSOCK_ALREADY_REGISTERED = createError('FST_WEBSOCK_ALREADY_REGISTERED',
  'fastify-websock serves this server already: register it once', 500)
export const FST_WEBSOCK_FOREIGN_PLUGIN = createError(
  'FST_WEBSOCK_FOREIGN_PLUGIN',
  '@fastify/websocket is registered already: register fastify-websock before it. fastify-websock ' +
  'registers @fastify/websocket itself, and `websocket: true` routes keep working',
  500
)
export const FST_WEBSOCK_UNKNOWN_OPTION = createError('FST_WEBSOCK_UNKNOWN_OPTION',
  'Unknown option `%s` %s. Known are: %s', 500, TypeError)
export const FST_WEBSOCK_INVALID_OPTION = createError('FST_WEBSOCK_INVALID_OPTION',
  'Option %s must be %s, got %s', 500, TypeError)
export const FST_WEBSOCK_ROUTE_METHOD = createError('FST_WEBSOCK_ROUTE_METHOD',
  'Route %s has a `websocketHandler`, so its method must be GET (RFC 6455 §4.1)', 500)
export const FST_WEBSOCK_ROUTE_CONFLICT = createError('FST_WEBSOCK_ROUTE_CONFLICT',
  'Route %s has a `websocketHandler` beside `websocket` or `wsHandler`: keep one of them', 500)
export const FST_WEBSOCK_INVALID_HANDLER = createError('FST_WEBSOCK_INVALID_HANDLER',
  'Route %s: `websocketHandler%s` must be %s', 500, TypeError)
export const FST_WEBSOCK_UNHANDLED = createError('FST_WEBSOCK_UNHANDLED',
  'Route %s: %s', 500)
export const FST_WEBSOCK_INVALID_SCHEMA = createError('FST_WEBSOCK_INVALID_SCHEMA',
  'Route %s: `schema.websocket.%s` cannot be compiled: %s', 500)
export const FST_WEBSOCK_UNDESCRIBABLE = createError('FST_WEBSOCK_UNDESCRIBABLE',
  'Route %s cannot be described in an AsyncAPI document: %s', 500)

// ── before the 101
export const FST_WEBSOCK_UPGRADE_REQUIRED = createError('FST_WEBSOCK_UPGRADE_REQUIRED',
  'This is a WebSocket endpoint: connect with the ws: or wss: scheme', 426)
export const FST_WEBSOCK_UNSUPPORTED_VERSION = createError('FST_WEBSOCK_UNSUPPORTED_VERSION',
  'Sec-WebSocket-Version must be 13', 426)
export const FST_WEBSOCK_BAD_HANDSHAKE = createError('FST_WEBSOCK_BAD_HANDSHAKE',
  'Not a WebSocket handshake (RFC 6455 §4.2.1): %s', 400)
export const FST_WEBSOCK_TOO_MANY_HEADERS = createError('FST_WEBSOCK_TOO_MANY_HEADERS',
  'The request has more headers than the server reads (`server.maxHeadersCount`)', 431)
export const FST_WEBSOCK_ORIGIN_REFUSED = createError('FST_WEBSOCK_ORIGIN_REFUSED',
  'Origin %s is not allowed here', 403)
export const FST_WEBSOCK_NO_SUBPROTOCOL = createError('FST_WEBSOCK_NO_SUBPROTOCOL',
  'One of these subprotocols is required: %s', 400)
export const FST_WEBSOCK_DRAINING = createError('FST_WEBSOCK_DRAINING',
  'The server is closing: connect again later', 503)
export const FST_WEBSOCK_TOO_MANY_CONNECTIONS = createError('FST_WEBSOCK_TOO_MANY_CONNECTIONS',
  'The server has reached its limit of connections: try again later', 503)
export const FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY = createError(
  'FST_WEBSOCK_TOO_MANY_CONNECTIONS_PER_KEY',
  'Too many connections from one client',
  429
)
export const FST_WEBSOCK_INVALID_KEY = createError('FST_WEBSOCK_INVALID_KEY',
  '`maxConnectionsPerKey.key` must return a string, got %s', 500, TypeError)
export const FST_WEBSOCK_UPGRADE_TIMEOUT = createError('FST_WEBSOCK_UPGRADE_TIMEOUT',
  'The upgrade was not answered within %s ms', 503)

// ── after the 101
export const FST_WEBSOCK_INVALID_RESULT = createError('FST_WEBSOCK_INVALID_RESULT',
  'A callback must return nothing, ws.ok(), ws.push() or ws.stop(), got %s', 500, TypeError)
export const FST_WEBSOCK_NO_SUCH_METHOD = createError('FST_WEBSOCK_NO_SUCH_METHOD',
  '`ws` of a callback has no %s(): %s', 500, TypeError)
export const FST_WEBSOCK_UNSENDABLE = createError('FST_WEBSOCK_UNSENDABLE',
  'Cannot be sent: %s', 500, TypeError)
export const FST_WEBSOCK_ASYNC = createError('FST_WEBSOCK_ASYNC',
  '%s returned a promise: it must be synchronous', 500, TypeError)
export const FST_WEBSOCK_INVALID_MESSAGE = createError('FST_WEBSOCK_INVALID_MESSAGE',
  'The client sent %s', 400)
export const FST_WEBSOCK_PROTOCOL_ERROR = createError('FST_WEBSOCK_PROTOCOL_ERROR',
  'The client broke the protocol: %s', 400)
export const FST_WEBSOCK_MAILBOX_FULL = createError(
  'FST_WEBSOCK_MAILBOX_FULL',
  'The mailbox is full: %s. Handle infos faster, publish fewer, raise that option, or set ' +
  '`infoOverflow` to "drop"',
  503
)
export const FST_WEBSOCK_SLOW_PEER = createError('FST_WEBSOCK_SLOW_PEER',
  'The client reads too slowly: %s bytes wait to be sent', 503)
export const FST_WEBSOCK_RATE_LIMITED = createError('FST_WEBSOCK_RATE_LIMITED',
  'The client sends more than `rateLimit` allows', 429)
export const FST_WEBSOCK_INVALID_DELAY = createError('FST_WEBSOCK_INVALID_DELAY',
  'The delay of a timer must be a number of milliseconds ' +
  'from %s to 2147483647, got %s', 500, RangeError)
export const FST_WEBSOCK_INVALID_ADDRESS = createError('FST_WEBSOCK_INVALID_ADDRESS',
  'An address must be a string from `ref.address`, got %s', 500, TypeError)
export const FST_WEBSOCK_INVALID_TOPIC = createError('FST_WEBSOCK_INVALID_TOPIC',
  'A topic must be a string of 1 to %s characters, got %s', 500, TypeError)
export const FST_WEBSOCK_UNTRACKABLE = createError('FST_WEBSOCK_UNTRACKABLE',
  'Cannot be tracked: %s', 500, TypeError)
export const FST_WEBSOCK_CALLBACK_TIMEOUT = createError('FST_WEBSOCK_CALLBACK_TIMEOUT',
  '`%s` did not end within %s ms', 500)

// ── engines
export const FST_WEBSOCK_INVALID_CLIENT = createError('FST_WEBSOCK_INVALID_CLIENT',
  '%s takes %s, got %s', 500, TypeError)
export const FST_WEBSOCK_ENGINE_DOWN = createError('FST_WEBSOCK_ENGINE_DOWN',
  'The engine `%s` %s: nothing reaches other nodes until it is up again', 503)
export const FST_WEBSOCK_ENGINE_IN_USE = createError('FST_WEBSOCK_ENGINE_IN_USE',
  'The engine `%s` belongs to another app already: create one engine for each app', 500)

// ── metrics
export const FST_WEBSOCK_METRIC_EXISTS = createError('FST_WEBSOCK_METRIC_EXISTS',
  'The registry has a metric `%s` already: give each app a registry of its own, ' +
  'or another `prefix`', 500)
export const FST_WEBSOCK_INVALID_REGISTRY = createError('FST_WEBSOCK_INVALID_REGISTRY',
  '`registry` must be a Registry of prom-client, got %s', 500, TypeError)

// ── tests of an application
export const FST_WEBSOCK_UNEXPECTED = createError('FST_WEBSOCK_UNEXPECTED',
  'Unexpected: %s', 500)
