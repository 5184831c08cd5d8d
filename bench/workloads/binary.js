'use strict'

const { measureTable } = require('../harness/table')
const { BINARY_ROWS } = require('./rows')

const CONNECTIONS = 64

/** What copying costs. */
module.exports = {
  name: 'binary',
  groups: ['echo'],
  async * run (context) {
    const ask = () => ['echo', { payload: 'binary', inFlight: 1 }]
    yield {
      name: 'binary',
      title: `Binary echo, 16 KiB, ${CONNECTIONS} connections, 1 in flight on each`,
      unit: 'messages/s',
      better: 'higher',
      ...await measureTable({ ...context, rows: BINARY_ROWS, connections: CONNECTIONS, ask })
    }
  }
}
