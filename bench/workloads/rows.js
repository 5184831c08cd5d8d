'use strict'

const BARE_WS = { name: 'bare ws', server: 'ws' }
const BARE_WS_AGAIN = { ...BARE_WS, name: 'bare ws, again (A/A)', noise: true }
const BY_HAND = { name: '@fastify/websocket', server: 'fastify-websocket' }
const OURS = { name: 'ours', server: 'ours' }
const SOCKET_IO = { name: 'socket.io', server: 'socket.io', socketIo: true, payload: 'event' }
const ELYSIA = { name: 'Elysia on Bun', server: 'elysia', runtime: 'bun' }

/** The first row of each list is what the others are compared with. */
function rowsFor (task, rows) {
  return rows.map((row) => ({ ...row, options: { task, ...row.options } }))
}

/** Messages as they come, text or binary. */
const ECHO_ROWS = rowsFor('echo', [
  BARE_WS,
  BARE_WS_AGAIN,
  BY_HAND,
  OURS,
  { ...OURS, name: 'ours, async handler', options: { asynchronous: true } },
  { name: 'crossws', server: 'crossws' }
])

const BINARY_ROWS = [...ECHO_ROWS, ...rowsFor('echo', [ELYSIA])]

/** Parsed, validated, serialized; compared with ws that does nothing of that. */
const JSON_ROWS = [
  ...rowsFor('echo', [BARE_WS, BARE_WS_AGAIN]),
  ...rowsFor('json', [
    { ...BARE_WS, name: 'ws + ajv, by hand' },
    { ...BY_HAND, name: '@fastify/websocket + ajv, by hand' },
    OURS,
    { ...OURS, name: 'ours, async handler', options: { asynchronous: true } },
    { ...SOCKET_IO, note: 'validates nothing' },
    ELYSIA
  ])
]

// Its receivers send nothing: after half a minute a ping would come among the answers.
const SELDOM_PINGED = { plugin: { heartbeatIntervalMs: 600_000 } }

const FAN_OUT_ROWS = [
  ...rowsFor('fanOut', [
    BARE_WS,
    BARE_WS_AGAIN,
    { name: "Node's sockets alone", server: 'net', note: 'no library: one write each' },
    BY_HAND,
    { ...OURS, options: SELDOM_PINGED }
  ]),
  ...rowsFor('publish', [
    {
      ...OURS,
      options: SELDOM_PINGED,
      name: 'ours, publish',
      note: 'each by its mailbox and handler'
    }
  ]),
  ...rowsFor('fanOut', [
    { ...SOCKET_IO, note: 'encodes JSON' },
    { ...ELYSIA, note: 'a topic of Bun' }
  ])
]

const TWO_NODES = [{ role: 'orders' }, { role: 'receives' }]
const SOCKET_IO_WITH_REDIS = { ...SOCKET_IO, name: 'socket.io, Redis adapter', nodes: TWO_NODES }
const ACROSS_ROWS = rowsFor('across', [
  SOCKET_IO_WITH_REDIS,
  { ...SOCKET_IO_WITH_REDIS, name: 'socket.io, Redis adapter, again (A/A)', noise: true },
  { ...OURS, nodes: TWO_NODES, options: SELDOM_PINGED }
])

const SUBSCRIPTION_ROWS = rowsFor('subscribe', [BARE_WS, BARE_WS_AGAIN, OURS, SOCKET_IO])

const QUIET_ROWS = rowsFor('echo', [BARE_WS, BARE_WS_AGAIN, BY_HAND, OURS])

const SET_UP_ROWS = [
  ...rowsFor('setUp', [
    BY_HAND,
    { ...BY_HAND, name: '@fastify/websocket, again (A/A)', noise: true },
    OURS
  ]),
  ...rowsFor('echo', [
    { ...BARE_WS, note: 'no hook, no schema' },
    { name: 'crossws', server: 'crossws', note: 'no hook, no schema' }
  ])
]

const IDLE_ROWS = rowsFor('idle', [BARE_WS, BARE_WS_AGAIN, BY_HAND, OURS])

const TIMER_ROWS = rowsFor('timer', [BARE_WS, BARE_WS_AGAIN, OURS])

module.exports = {
  ACROSS_ROWS,
  BINARY_ROWS,
  ECHO_ROWS,
  FAN_OUT_ROWS,
  IDLE_ROWS,
  JSON_ROWS,
  QUIET_ROWS,
  SET_UP_ROWS,
  SUBSCRIPTION_ROWS,
  TIMER_ROWS
}
