'use strict'

const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { Child } = require('./child')
const { cpuShare } = require('./control')

const SERVER_CORE = 0
const LOAD_CORE = 1
const BENCH = join(__dirname, '..')
const BUN = join(BENCH, 'node_modules/.bin/bun')

const QUIET_CPU = 0.05
const QUIET_STEP_MS = 100
const QUIET_TIMEOUT_MS = 15_000

/** One server of one peer. */
class Server {
  #child
  target

  constructor (child, target) {
    this.#child = child
    this.target = target
  }

  usage () {
    return this.#child.ask('usage')
  }

  memory () {
    return this.#child.ask('memory')
  }

  /** Subscribes all of its connections, where that is its task. */
  subscribe () {
    return this.#child.ask('subscribe')
  }

  /** Resolves when the server has nothing more to do: connections of the last slice are let go of, for example. */
  async becomeQuiet () {
    const deadline = performance.now() + QUIET_TIMEOUT_MS
    for (let before = await this.usage(); performance.now() < deadline;) {
      await new Promise((resolve) => setTimeout(resolve, QUIET_STEP_MS))
      const after = await this.usage()
      if (cpuShare(before, after) < QUIET_CPU) return
      before = after
    }
    throw new Error('the server is not quiet where it should be')
  }

  stop () {
    return this.#child.stop()
  }
}

/** Rejects with the reason when the peer is not installed, or cannot start. */
async function startServer ({ server, options, runtime = 'node', socketIo = false }) {
  if (runtime === 'bun' && !existsSync(BUN)) throw new Error('Bun is not installed')
  const parameters = [join(BENCH, 'servers/main.js'), server, JSON.stringify(options)]
  const child = runtime === 'bun' ? new Child(BUN, parameters) : new Child(process.execPath, ['--expose-gc', ...parameters])
  try {
    const { port } = await child.ready()
    // Not from the start: the servers of a table start together, and have both cores for it.
    await child.pin(SERVER_CORE)
    return new Server(child, { port, socketIo, path: socketIo ? '/socket.io/?EIO=4&transport=websocket' : '/ws' })
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function startLoad () {
  const load = new Child(process.execPath, [join(BENCH, 'load/main.js')])
  await load.ready()
  await load.pin(LOAD_CORE)
  return load
}

module.exports = { startLoad, startServer }
