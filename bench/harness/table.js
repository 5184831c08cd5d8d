'use strict'

const { cpuShare } = require('./control')
const { busyCores, readMachineUsage } = require('./machine-usage')
const { measurePairs } = require('./pairs')
const { measureInTurn, withServers } = require('./rounds')

const WARM_UP_CONNECTIONS = 1000

/**
 * Measures one table: a server for each row, and what the load does with it, in turns.
 *
 * `ask(row, target)` gives the load's command and its argument. With `keepOpen: false` the
 * connections of a row are there only in its own slice, because those of all rows would be too
 * many.
 */
function measureTable (options) {
  return measurePairs(options.rows, options.mode.against, (rows) =>
    measureRows({ ...options, rows })
  )
}

function measureRows ({
  load,
  mode,
  rows,
  ask,
  connections = 0,
  keepOpen = true,
  rounds = mode.rounds,
  sliceMs = mode.sliceMs
}) {
  return withServers(rows, async (serverOf) => {
    const open = async (row, count) => {
      const { target } = await serverOf(row)
      if (count > 0) await load.ask('open', { group: row.name, target, count })
    }
    const close = async (row) => {
      await load.ask('close', { group: row.name })
      await (await serverOf(row)).becomeQuiet()
    }
    const runSlice = async (row, measureMs = sliceMs) => {
      const server = await serverOf(row)
      const [command, argument] = ask(row, server.target)
      const before = [await server.usage(), readMachineUsage()]
      const result = await load.ask(command, {
        group: row.name,
        ...argument,
        times: { warmMs: mode.warmMs, measureMs }
      })
      const serverCpu = cpuShare(before[0], await server.usage())
      const busy = busyCores(before[1], readMachineUsage())
      return {
        ...result,
        serverCpu,
        othersCpu: busy && Math.max(0, busy - serverCpu - result.loadCpu)
      }
    }
    const runAlone = async (row, count) => {
      await open(row, count)
      await (await serverOf(row)).becomeQuiet()
      const result = await runSlice(row)
      await close(row)
      return result
    }
    try {
      return await measureInTurn({
        rows,
        rounds,
        // Besides, the compilers of both ends do their work here.
        open: async (row) => {
          if (!keepOpen) return runAlone(row, Math.min(connections, WARM_UP_CONNECTIONS))
          await open(row, connections)
          await runSlice(row, Math.max(mode.firstSliceMs, sliceMs))
        },
        measure: (row) => keepOpen ? runSlice(row) : runAlone(row, connections)
      })
    } finally {
      for (const { name } of rows) await load.ask('close', { group: name })
    }
  })
}

module.exports = { measureTable }
