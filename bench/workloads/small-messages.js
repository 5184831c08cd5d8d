'use strict'

const { measureTable } = require('../harness/table')
const { ECHO_ROWS, JSON_ROWS } = require('./rows')

/** 80 bytes and back, as text and as typed JSON. */
module.exports = function smallMessages (name, { connections = 64, inFlight = 1 }) {
  return {
    name,
    groups: ['echo'],
    async * run (context) {
      const measure = (rows) => measureTable({
        ...context,
        rows,
        connections,
        ask: ({ payload = 'text' }) => ['echo', { payload, inFlight }]
      })
      const common = { unit: 'messages/s', better: 'higher' }
      const shape = `${connections} connections, ${inFlight} in flight on each`
      yield {
        ...common,
        name: `text, ${name}`,
        title: `Text echo, ${shape}`,
        ...(await measure(ECHO_ROWS))
      }
      yield {
        ...common,
        name: `json, ${name}`,
        title: `Typed JSON, ${shape}`,
        ...(await measure(JSON_ROWS))
      }
    }
  }
}
