'use strict'

const { measureTable } = require('../harness/table')
const { FAN_OUT_ROWS } = require('./rows')

/**
 * One or eight messages of 80 bytes for each of many connections, and the next when all are there.
 */
module.exports = {
  name: 'fan-out',
  groups: [],
  async * run (context) {
    const { mode } = context
    for (const receivers of mode.receivers) {
      for (const count of [1, 8]) {
        const measured = await measureTable({
          ...context,
          rows: FAN_OUT_ROWS,
          connections: receivers,
          keepOpen: receivers <= 1000,
          rounds: receivers <= 1000 ? mode.rounds : mode.freshRounds,
          ask: ({ socketIo = false }) => ['fanOut', { socketIo, count }]
        })
        const title = `${count} message${count === 1 ? '' : 's'} a tick to ` +
          `${receivers.toLocaleString('en')} receivers`
        yield {
          name: `fan-out, ${receivers} × ${count}`,
          title,
          unit: 'messages/s',
          better: 'higher',
          ...measured
        }
      }
    }
  }
}
