'use strict'

const { measureTable } = require('../harness/table')
const { QUIET_ROWS } = require('./rows')

const QUIET_CONNECTIONS = 8

/** How long others wait while one connection keeps 512 messages in flight. */
module.exports = {
  name: 'quiet-beside-flood',
  groups: [],
  async * run (context) {
    const { mode } = context
    yield {
      name: 'quiet-beside-flood',
      title: `${QUIET_CONNECTIONS} quiet connections, a message each 5 ms, beside one that ` +
        'floods: 99th percentile of their latency',
      unit: 'p99 µs',
      better: 'lower',
      columns: [
        { name: 'p50 µs', key: 'p50' },
        { name: 'flood, messages/s', key: 'flooded' }
      ],
      ...(await measureTable({
        ...context,
        rows: QUIET_ROWS,
        connections: 1 + QUIET_CONNECTIONS,
        sliceMs: mode.quietSliceMs,
        ask: () => ['quiet', {}]
      }))
    }
  }
}
