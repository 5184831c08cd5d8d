'use strict'

/**
 * The child's end of the parent's questions: `commands` has one function for each, sync or async.
 */
function answerParent (commands) {
  process.on('message', async ({ id, command, argument }) => {
    try {
      process.send({ id, answer: await commands[command](argument) })
    } catch (error) {
      process.send({ id, error: error.message })
    }
  })
  // Also when the parent was killed: nobody is left to stop this process.
  process.on('disconnect', () => process.exit())
}

/** CPU time in microseconds, and the time it was read at, in milliseconds. */
function readUsage () {
  const { user, system } = process.cpuUsage()
  return { cpuMicroseconds: user + system, atMs: performance.now() }
}

/** The share of one core between two readings. */
function cpuShare (before, after) {
  return (after.cpuMicroseconds - before.cpuMicroseconds) / 1000 / (after.atMs - before.atMs)
}

module.exports = { answerParent, cpuShare, readUsage }
