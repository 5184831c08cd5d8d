'use strict'

const { stopAllChildren } = require('./harness/child')
const { installPeers } = require('./harness/install')
const { describeMachine, formatMachine } = require('./harness/machine')
const { resolveOptions } = require('./harness/options')
const { startLoad } = require('./harness/server')
const { buildSummary, formatNoise, formatSummary } = require('./harness/summary')
const { formatTable } = require('./harness/tables')
const workloads = require('./workloads')

/** `npm run bench`: runs workloads one after the other, and prints what came out. */
async function main () {
  const { workloads: chosen, mode, json } = resolveOptions(process.argv.slice(2), workloads)
  installPeers()
  const startedAt = performance.now()
  const machine = describeMachine()
  const print = json ? () => {} : console.log
  print(formatMachine(machine))

  const tables = []
  const failures = []
  for (const workload of chosen) {
    try {
      for await (const table of runWorkload(workload, mode)) {
        tables.push(table)
        print(`\n${formatTable(table)}`)
      }
    } catch (error) {
      failures.push({ workload: workload.name, reason: error.message })
      console.error(`\n${workload.name} could not be measured: ${error.message}`)
      process.exitCode = 1
    }
  }

  const summary = buildSummary(tables)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  if (json) {
    console.log(
      JSON.stringify({ machine, quick: mode.quick, seconds, tables, failures, summary }, null, 2)
    )
  }
  if (summary.length > 0) print(`\n${formatSummary(summary)}`)
  const measured = tables.filter(({ rows }) => rows.length > 0)
  if (measured.length > 0) print(`\n${formatNoise(measured)}`)
  print(`${seconds} s${mode.quick ? ' with --quick: a smoke test, not a measurement' : ''}`)
}

async function * runWorkload (workload, mode) {
  const load = await startLoad()
  try {
    yield * workload.run({ load, mode })
  } finally {
    await load.stop()
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => { void stopAllChildren().then(() => process.exit(1)) })
}

main().catch((error) => {
  console.error(error.message)
  process.exitCode = 1
}).finally(stopAllChildren)
