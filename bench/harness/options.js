'use strict'

const { parseArgs } = require('node:util')

const USAGE = `npm run bench -- [workload …] [--quick] [--json] [--against CHECKOUT]

--quick  fewer and shorter slices, fewer connections: under two minutes
--json   one JSON document in place of the tables (npm run --silent bench -- --json)
--against CHECKOUT   only this library: the built checkout in that folder against this one, in pairs

workloads and groups:`

/** What lasts how long. */
const FULL = {
  quick: false,
  rounds: 24,
  firstSliceMs: 500,
  warmMs: 25,
  sliceMs: 100,
  setUpSliceMs: 170,
  quietSliceMs: 350,
  timerSliceMs: 3000,
  freshRounds: 3,
  residents: 10_000,
  receivers: [1000, 10_000]
}
const QUICK = {
  quick: true,
  rounds: 3,
  firstSliceMs: 100,
  warmMs: 20,
  sliceMs: 100,
  setUpSliceMs: 300,
  quietSliceMs: 300,
  timerSliceMs: 1000,
  freshRounds: 1,
  residents: 2000,
  receivers: [1000]
}

/** Gives what is to be run and how. Throws for what is not known, with all that is. */
function resolveOptions (parameters, workloads) {
  const usage = `${USAGE} ` +
    `${[...new Set(workloads.flatMap(({ name, groups }) => [name, ...groups]))].join(', ')}`
  let given
  try {
    given = parseArgs({
      args: parameters,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean' },
        json: { type: 'boolean' },
        against: { type: 'string' }
      }
    })
  } catch (error) {
    throw new Error(`${error.message}\n\n${usage}`)
  }
  const { values, positionals } = given
  const wanted = (name) =>
    workloads.filter((workload) => workload.name === name || workload.groups.includes(name))
  const unknown = positionals.find((name) => wanted(name).length === 0)
  if (unknown !== undefined) throw new Error(`there is no workload ${unknown}\n\n${usage}`)
  return {
    workloads:
      positionals.length === 0
        ? workloads
        : workloads.filter((workload) =>
          positionals.some((name) => wanted(name).includes(workload))
        ),
    mode: { ...(values.quick ? QUICK : FULL), against: values.against },
    json: values.json ?? false
  }
}

module.exports = { resolveOptions }
