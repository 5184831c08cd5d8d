'use strict'

const { measureResidents } = require('../harness/residents')
const { IDLE_ROWS } = require('./rows')

/** What a connection costs that does nothing. */
module.exports = {
  name: 'idle-memory',
  groups: [],
  async * run ({ load, mode }) {
    const measure = ({ bytesPerConnection: { rss, heap } }) => ({
      value: rss / 1000,
      more: { heap: heap / 1000 }
    })
    yield {
      name: 'idle-memory',
      title: `Memory of each of ${mode.residents.toLocaleString('en')} idle connections`,
      unit: 'RSS, kB',
      better: 'lower',
      columns: [{ name: 'heap, kB', key: 'heap' }],
      ...(await measureResidents({
        load,
        against: mode.against,
        rows: IDLE_ROWS,
        rounds: mode.freshRounds,
        connections: mode.residents,
        measure
      }))
    }
  }
}
