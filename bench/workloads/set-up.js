'use strict'

const { measureTable } = require('../harness/table')
const { SET_UP_ROWS } = require('./rows')

/** TCP, an upgrade with a hook and a query schema, `init`, one echo, the close handshake. */
module.exports = {
  name: 'set-up',
  groups: [],
  async * run (context) {
    const ask = (_row, target) => [
      'setUp',
      { target: { ...target, path: `${target.path}?room=lobby` } }
    ]
    yield {
      name: 'set-up',
      title: 'Upgrade, one echo, close; 16 at once',
      unit: 'connections/s',
      better: 'higher',
      ...(await measureTable({
        ...context,
        rows: SET_UP_ROWS,
        sliceMs: context.mode.setUpSliceMs,
        ask
      }))
    }
  }
}
