'use strict'

const { median, spread } = require('./statistics')
const { startServer } = require('./server')

/** Above it a process has no time left. */
const FULL_CORE = 0.9

/**
 * Measures rows in turn, round after round, and compares each with the first one of the same round.
 *
 * `open(row)` comes once for each, `measure(row)` once a round; a row that fails is left out by
 * name. Throws when that is the first row, as there is nothing to compare with then.
 */
async function measureInTurn ({ rows, rounds, open, measure }) {
  const leftOut = []
  const present = []
  const attempt = async (row, action) => {
    try {
      return await action(row)
    } catch (error) {
      if (row === rows[0]) throw error
      leftOut.push({ name: row.name, reason: error.message })
      present.splice(present.indexOf(row), present.includes(row) ? 1 : 0)
    }
  }
  for (const row of rows) {
    if (await attempt(row, async () => { await open(row); return true })) present.push(row)
  }
  const slices = new Map(rows.map((row) => [row, []]))
  for (let round = 0; round < rounds; round++) {
    for (const row of [...present]) {
      const slice = await attempt(row, measure)
      if (slice !== undefined) slices.get(row).push(slice)
    }
  }
  const othersCpu = median([...slices.values()].flat().map((slice) => slice.othersCpu ?? 0))
  return {
    rows: present.map((row) => summarize(row, slices.get(row), slices.get(rows[0]))),
    leftOut,
    othersCpu
  }
}

function summarize (row, slices, baseline) {
  const medianOf = (read) =>
    slices.every((slice) => read(slice) !== undefined) ? median(slices.map(read)) : undefined
  const loadCpu = medianOf((slice) => slice.loadCpu)
  const serverCpu = medianOf((slice) => slice.serverCpu)
  return {
    name: row.name,
    ratio: spread(slices.map((slice, round) => slice.value / baseline[round].value)),
    value: medianOf((slice) => slice.value),
    latencyMicroseconds: slices[0].latencyMicroseconds && {
      p50: medianOf((slice) => slice.latencyMicroseconds.p50),
      p99: medianOf((slice) => slice.latencyMicroseconds.p99)
    },
    serverCpu,
    loadCpu,
    loadWasLimit: loadCpu >= FULL_CORE && serverCpu < FULL_CORE,
    more:
      slices[0].more &&
      Object.fromEntries(
        Object.keys(slices[0].more).map((key) => [key, medianOf((slice) => slice.more[key])])
      ),
    note: row.note,
    noise: row.noise ?? false
  }
}

/**
 * Starts a server for each row, and stops them all behind `work`, which asks for the server of a
 * row.
 */
async function withServers (rows, work) {
  const started = new Map(rows.map((row) => [row, startServer(row)]))
  // Who did not start is told when its server is asked for.
  const settled = await Promise.allSettled(started.values())
  try {
    return await work((row) => started.get(row))
  } finally {
    await Promise.all(settled.map(({ value }) => value?.stop()))
  }
}

module.exports = { measureInTurn, withServers }
