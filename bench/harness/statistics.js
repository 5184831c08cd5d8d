'use strict'

function median (values) {
  return percentile(Float64Array.from(values).sort(), 0.5)
}

/** Of values that are sorted. */
function percentile (sorted, share) {
  if (sorted.length === 0) return NaN
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  return below + (sorted[Math.ceil(position)] - below) * (position - Math.floor(position))
}

function spread (values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

module.exports = { median, percentile, spread }
