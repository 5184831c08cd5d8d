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

/** One server of one peer: a process, or several nodes. */
class Server {
  #children
  target

  constructor (children, target) {
    this.#children = children
    this.target = target
  }

  /** Of all its processes. */
  async usage () {
    const usages = await Promise.all(this.#children.map((child) => child.ask('usage')))
    return {
      cpuMicroseconds: usages.reduce((sum, usage) => sum + usage.cpuMicroseconds, 0),
      atMs: usages[0].atMs
    }
  }

  memory () {
    return this.#children[0].ask('memory')
  }

  /** Subscribes all of its connections, where that is its task. */
  subscribe () {
    return this.#children[0].ask('subscribe')
  }

  /**
   * Resolves when the server has nothing more to do: connections of the last slice are let go of,
   * for example.
   */
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

  async stop () {
    await Promise.all(this.#children.map((child) => child.stop()))
  }
}

/**
 * `nodes`: the options of each process, in addition to those of all; the first one takes orders,
 * the last one has the connections. Rejects with the reason when the peer is not installed, or
 * cannot start.
 */
async function startServer ({ server, options, runtime = 'node', socketIo = false, nodes = [{}] }) {
  if (runtime === 'bun' && !existsSync(BUN)) throw new Error('Bun is not installed')
  const children = nodes.map((node) => {
    const parameters = [
      join(BENCH, 'servers/main.js'),
      server,
      JSON.stringify({ ...options, ...node })
    ]
    return runtime === 'bun'
      ? new Child(BUN, parameters)
      : new Child(process.execPath, ['--expose-gc', ...parameters])
  })
  try {
    const ports = (await Promise.all(children.map((child) => child.ready()))).map(
      ({ port }) => port
    )
    // Not from the start: the servers of a table start together, and have both cores for it.
    for (const child of children) await child.pin(SERVER_CORE)
    return new Server(children, {
      port: ports.at(-1),
      orderPort: ports[0],
      socketIo,
      path: socketIo ? '/socket.io/?EIO=4&transport=websocket' : '/ws'
    })
  } catch (error) {
    await Promise.all(children.map((child) => child.stop()))
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
