'use strict'

const { measurePairs } = require('./pairs')
const { measureInTurn } = require('./rounds')
const { startServer } = require('./server')

const WARM_UP_CONNECTIONS = 200

/**
 * Measures a table of servers that many connections live on: each measurement has a new server for
 * itself.
 *
 * `measure({ server, row, bytesPerConnection })` gives the slice; the bytes are those of RSS and of
 * the heap, after garbage collection, with the connections less without them.
 */
function measureResidents (options) {
  return measurePairs(options.rows, options.against, (rows) => measureRows({ ...options, rows }))
}

function measureRows ({ load, rows, rounds, connections, measure }) {
  const live = async (row) => {
    const server = await startServer(row)
    const open = (count) => load.ask('open', { group: row.name, target: server.target, count })
    const close = () => load.ask('close', { group: row.name })
    try {
      // What is loaded and compiled once is none of a connection's.
      await open(WARM_UP_CONNECTIONS)
      await close()
      const before = await server.memory()
      await open(connections)
      const after = await server.memory()
      const bytesPerConnection = {
        rss: (after.rss - before.rss) / connections,
        heap: (after.heap - before.heap) / connections
      }
      return await measure({ server, row, bytesPerConnection })
    } finally {
      await close()
      await server.stop()
    }
  }
  return measureInTurn({ rows, rounds, open: () => {}, measure: live })
}

module.exports = { measureResidents }
