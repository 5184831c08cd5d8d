'use strict'

const { measureEchoTable } = require('../harness/echo')
const { ECHO_ROWS, JSON_ROWS } = require('./rows')

const SHAPE = '64 connections, 1 message in flight on each'

/** The next message goes out when the last one is back: the latency of a turn decides. */
module.exports = {
  name: 'ping-pong',
  groups: ['echo'],
  async * run (context) {
    const common = { unit: 'messages/s', better: 'higher' }
    yield { ...common, name: 'text, ping-pong', title: `Text echo, ${SHAPE}`, ...await measureEchoTable({ ...context, rows: ECHO_ROWS, payload: 'text', inFlight: 1 }) }
    yield { ...common, name: 'json, ping-pong', title: `Typed JSON, ${SHAPE}`, ...await measureEchoTable({ ...context, rows: JSON_ROWS, payload: 'text', inFlight: 1 }) }
  }
}
