'use strict'

const { readFileSync } = require('node:fs')
const { cpus, platform } = require('node:os')

/**
 * Ticks since the start of the machine, of all cores together; undefined where the system does not
 * tell.
 */
function readMachineUsage () {
  if (platform() !== 'linux') return undefined
  // proc(5): user, nice, system, idle, iowait, irq, softirq, steal. The host's own doings are in
  // the last one.
  const ticks = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number)
  const all = ticks.reduce((sum, each) => sum + each, 0)
  return { all, busy: all - ticks[3] - ticks[4] }
}

/** How many cores were busy between two readings, with whatever. */
function busyCores (before, after) {
  if (before === undefined) return undefined
  return (after.busy - before.busy) / (after.all - before.all) * cpus().length
}

module.exports = { busyCores, readMachineUsage }
