'use strict'

const { resolve } = require('node:path')

/**
 * The rows of a table as pairs, when a run compares this checkout with another one (`--against`):
 * for each row of ours the other checkout, the other checkout again, and this one.
 */
function pairsOf (rows, checkout) {
  return rows.filter(({ server, note }) => server === 'ours' && note === undefined).map((row) => {
    const before = { ...row, options: { ...row.options, checkout: resolve(checkout) } }
    return [
      { ...before, name: `${row.name}, before` },
      { ...before, name: `${row.name}, before, again (A/A)`, noise: true },
      { ...row, name: `${row.name}, now` }
    ]
  })
}

/** Measures the rows together, or each pair for itself. */
async function measurePairs (rows, checkout, measure) {
  if (checkout === undefined) return measure(rows)
  const measured = []
  for (const pair of pairsOf(rows, checkout)) measured.push(await measure(pair))
  return {
    rows: measured.flatMap((each) => each.rows),
    leftOut: measured.flatMap((each) => each.leftOut),
    othersCpu: Math.max(...measured.map((each) => each.othersCpu))
  }
}

module.exports = { measurePairs }
