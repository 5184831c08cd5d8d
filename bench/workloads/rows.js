'use strict'

const BARE_WS = { name: 'bare ws', server: 'ws', options: { task: 'echo' } }
const SAME_AGAIN = { ...BARE_WS, name: 'bare ws, again (A/A)', note: 'the noise' }
const NO_FAST_LANE = { plugin: { fastLane: false } }

/** Messages as they come, text or binary. The first row is what the others are compared with. */
const ECHO_ROWS = [
  BARE_WS,
  SAME_AGAIN,
  { name: '@fastify/websocket', server: 'fastify-websocket', options: { task: 'echo' } },
  { name: 'ours', server: 'ours', options: { task: 'echo' } },
  { name: 'ours, async handler', server: 'ours', options: { task: 'echo', asynchronous: true } },
  { name: 'ours, fastLane: false', server: 'ours', options: { task: 'echo', ...NO_FAST_LANE } },
  { name: 'crossws', server: 'crossws', options: { task: 'echo' } }
]

const BINARY_ROWS = [
  ...ECHO_ROWS,
  { name: 'Elysia on Bun', server: 'elysia', runtime: 'bun', options: { task: 'echo' } }
]

/** Parsed, validated, serialized; compared with ws that does nothing of that. */
const JSON_ROWS = [
  BARE_WS,
  SAME_AGAIN,
  { name: 'ws + ajv, by hand', server: 'ws', options: { task: 'json' } },
  { name: '@fastify/websocket + ajv, by hand', server: 'fastify-websocket', options: { task: 'json' } },
  { name: 'ours', server: 'ours', options: { task: 'json' } },
  { name: 'ours, async handler', server: 'ours', options: { task: 'json', asynchronous: true } },
  { name: 'ours, fastLane: false', server: 'ours', options: { task: 'json', ...NO_FAST_LANE } },
  { name: 'socket.io', server: 'socket.io', socketIo: true, payload: 'event', options: { task: 'json' }, note: 'validates nothing' },
  { name: 'Elysia on Bun', server: 'elysia', runtime: 'bun', options: { task: 'json' } }
]

module.exports = { BINARY_ROWS, ECHO_ROWS, JSON_ROWS }
