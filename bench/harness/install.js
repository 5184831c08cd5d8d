'use strict'

const { spawnSync } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')

const BENCH = join(__dirname, '..')

/**
 * Installs the peers when they are not. Throws when npm fails: a peer that alone cannot be
 * installed is optional.
 */
function installPeers () {
  if (existsSync(join(BENCH, 'node_modules'))) return
  console.error('Installing the peers: npm ci --prefix bench')
  const { status } = spawnSync('npm', ['ci', '--prefix', BENCH, '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2]
  })
  if (status !== 0) throw new Error(`npm ci --prefix bench ended with ${status}`)
}

module.exports = { installPeers }
