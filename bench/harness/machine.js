'use strict'

const { readFileSync } = require('node:fs')
const { cpus, totalmem } = require('node:os')
const { join } = require('node:path')
const { commandExists } = require('./command-exists')

/** What a figure must not be read without. */
function describeMachine () {
  return {
    date: new Date().toISOString(),
    node: process.version,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    pinned: commandExists('taskset'),
    peers: peerVersions()
  }
}

function peerVersions () {
  const { packages } = JSON.parse(readFileSync(join(__dirname, '../package-lock.json'), 'utf8'))
  const { dependencies, optionalDependencies } = packages['']
  return Object.fromEntries(
    Object.keys({ ...dependencies, ...optionalDependencies }).map((name) => [
      name,
      packages[`node_modules/${name}`].version
    ])
  )
}

function formatMachine ({ date, node, processor, cores, memoryGiB, pinned, peers }) {
  return (
    `${date}, Node ${node}, ${processor}, ${cores} cores, ${memoryGiB} GiB, ` +
    `${pinned ? 'server on core 0, load on core 1' : 'not pinned: no taskset'}\n` +
    Object.entries(peers)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')
  )
}

module.exports = { describeMachine, formatMachine }
