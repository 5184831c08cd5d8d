'use strict'

const { measureTable } = require('../harness/table')
const { ECHO_ROWS, JSON_ROWS } = require('./rows')

const CONNECTIONS = 64
const IN_FLIGHT = 32

/** One write holds 32 frames, the next one goes out when all 32 are back: what a burst costs decides. */
module.exports = {
  name: 'pipelined',
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
    yield { ...common, name: 'text, pipelined', title: `Text echo, ${shape}`, ...await measure(ECHO_ROWS) }
    yield { ...common, name: 'json, pipelined', title: `Typed JSON, ${shape}`, ...await measure(JSON_ROWS) }
  }
}
