'use strict'

const { cpuShare } = require('../harness/control')
const { measureResidents } = require('../harness/residents')
const { TIMER_ROWS } = require('./rows')

/**
 * A timer for each connection, which sends a message each second: of ours, or a `setInterval` by
 * hand.
 */
module.exports = {
  name: 'timers',
  groups: [],
  async * run ({ load, mode }) {
    const measure = async ({ server, row, bytesPerConnection }) => {
      const before = await server.usage()
      const { messagesPerSecond, loadCpu } = await load.ask('stream', {
        group: row.name,
        times: { warmMs: 0, measureMs: mode.timerSliceMs }
      })
      const serverCpu = cpuShare(before, await server.usage())
      return {
        value: (serverCpu / messagesPerSecond) * 1e6,
        more: {
          rate: messagesPerSecond,
          rss: bytesPerConnection.rss / 1000,
          heap: bytesPerConnection.heap / 1000
        },
        serverCpu,
        loadCpu
      }
    }
    yield {
      name: 'timers',
      title: `One timer on each of ${mode.residents.toLocaleString('en')} connections, a message ` +
        'each second: CPU time of a message',
      unit: 'CPU µs',
      better: 'lower',
      columns: [
        { name: 'messages/s', key: 'rate' },
        { name: 'RSS, kB', key: 'rss' },
        { name: 'heap, kB', key: 'heap' }
      ],
      ...(await measureResidents({
        load,
        against: mode.against,
        rows: TIMER_ROWS,
        rounds: mode.freshRounds,
        connections: mode.residents,
        measure
      }))
    }
  }
}
