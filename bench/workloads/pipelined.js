'use strict'

const { measureEchoTable } = require('../harness/echo')
const { ECHO_ROWS, JSON_ROWS } = require('./rows')

const SHAPE = '64 connections, 32 messages in flight on each'

/** One write holds 32 frames, the next one goes out when all 32 are back: what a burst costs decides. */
module.exports = {
  name: 'pipelined',
  groups: ['echo'],
  async * run (context) {
    const common = { unit: 'messages/s', better: 'higher' }
    yield { ...common, name: 'text, pipelined', title: `Text echo, ${SHAPE}`, ...await measureEchoTable({ ...context, rows: ECHO_ROWS, payload: 'text', inFlight: 32 }) }
    yield { ...common, name: 'json, pipelined', title: `Typed JSON, ${SHAPE}`, ...await measureEchoTable({ ...context, rows: JSON_ROWS, payload: 'text', inFlight: 32 }) }
  }
}
