'use strict'

const { measureEchoTable } = require('../harness/echo')
const { BINARY_ROWS } = require('./rows')

/** What copying costs. */
module.exports = {
  name: 'binary',
  groups: ['echo'],
  async * run (context) {
    yield {
      name: 'binary',
      title: 'Binary echo, 16 KiB, 64 connections, 1 message in flight on each',
      unit: 'messages/s',
      better: 'higher',
      ...await measureEchoTable({ ...context, rows: BINARY_ROWS, payload: 'binary', inFlight: 1 })
    }
  }
}
