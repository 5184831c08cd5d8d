'use strict'

const { measureTable } = require('../harness/table')
const { BINARY_ROWS } = require('./rows')

/** What copying costs. */
const binary = (name, { size, payload, connections }) => ({
  name,
  groups: ['echo'],
  async * run (context) {
    const ask = () => ['echo', { payload, inFlight: 1 }]
    yield {
      name,
      title: `Binary echo, ${size}, ${connections} connections, 1 in flight on each`,
      unit: 'messages/s',
      better: 'higher',
      ...await measureTable({ ...context, rows: BINARY_ROWS, connections, ask })
    }
  }
})

module.exports = [
  binary('binary', { size: '16 KiB', payload: 'binary', connections: 64 }),
  binary('large', { size: '200 kB', payload: 'large', connections: 16 })
]
