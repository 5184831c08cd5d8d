'use strict'

const { cpuShare } = require('./control')
const { measureInTurn, withServers } = require('./rounds')

const CONNECTIONS = 64

/** One table of an echo workload: each row's connections stay open, and send in their turn. */
function measureEchoTable ({ load, mode, rows, inFlight, payload }) {
  return withServers(async (servers) => {
    const runSlice = async (row, measureMs) => {
      const server = servers.of(row)
      const before = await server.usage()
      const slice = { warmMs: mode.warmMs, measureMs }
      const result = await load.ask('echo', { group: row.name, payload: row.payload ?? payload, inFlight, slice })
      return { ...result, serverCpu: cpuShare(before, await server.usage()) }
    }
    try {
      return await measureInTurn({
        rows,
        rounds: mode.rounds,
        open: async (row) => {
          const { target } = await servers.start(row)
          await load.ask('open', { group: row.name, target, count: CONNECTIONS })
          // The compilers of both ends do their work here.
          await runSlice(row, mode.sliceMs)
        },
        measure: (row) => runSlice(row, mode.sliceMs)
      })
    } finally {
      for (const { name } of rows) await load.ask('close', { group: name })
    }
  })
}

module.exports = { measureEchoTable }
