'use strict'

const { measureTable } = require('../harness/table')
const { ECHO_ROWS, JSON_ROWS } = require('./rows')

const CONNECTIONS = 64
const IN_FLIGHT = 1

/** The next message goes out when the last one is back: the latency of a turn decides. */
module.exports = {
  name: 'ping-pong',
  groups: ['echo'],
  async * run (context) {
    const measure = (rows) => measureTable({
      ...context,
      rows,
      connections: CONNECTIONS,
      ask: ({ payload = 'text' }) => ['echo', { payload, inFlight: IN_FLIGHT }]
    })
    const common = { unit: 'messages/s', better: 'higher' }
    const shape = `${CONNECTIONS} connections, ${IN_FLIGHT} in flight on each`
    yield { ...common, name: 'text, ping-pong', title: `Text echo, ${shape}`, ...await measure(ECHO_ROWS) }
    yield { ...common, name: 'json, ping-pong', title: `Typed JSON, ${shape}`, ...await measure(JSON_ROWS) }
  }
}
