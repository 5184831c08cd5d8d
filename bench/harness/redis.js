'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { createServer } = require('node:net')
const { tmpdir } = require('node:os')
const { createInterface } = require('node:readline')
const { commandExists } = require('./command-exists')

const START_TIMEOUT_MS = 10_000

/**
 * A redis-server of its own that keeps nothing. Rejects when there is none on the PATH, or it does
 * not start.
 */
async function startRedis () {
  if (!commandExists('redis-server')) throw new Error('redis-server is not on the PATH')
  const port = await findFreePort()
  const child = spawn(
    'redis-server',
    [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      tmpdir(),
      '--save',
      '',
      '--appendonly',
      'no'
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] }
  )
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const stop = async () => {
    process.off('exit', killAtExit)
    child.kill('SIGKILL')
    await exited
  }
  try {
    await untilReady(child)
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop }
}

async function untilReady (child) {
  const lines = createInterface({ input: child.stdout })
  await new Promise((resolve, reject) => {
    const timer = setTimeout(
      reject,
      START_TIMEOUT_MS,
      new Error('redis-server did not start in time')
    )
    child.once('error', reject)
    child.once('exit', () => reject(new Error('redis-server ended')))
    lines.on('line', (line) => {
      if (!line.includes('Ready to accept connections')) return
      clearTimeout(timer)
      resolve()
    })
  })
}

async function findFreePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

module.exports = { startRedis }
