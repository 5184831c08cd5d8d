'use strict'

const { answerParent, readUsage } = require('../harness/control')

/** `node servers/main.js ws '{"task":"echo"}'`: one server of one peer, for one task. */
async function main ([peer, options]) {
  try {
    const { start } = require(`./${peer}.js`)
    // A task adds those of its own.
    const commands = { usage: readUsage, memory: readMemory }
    const port = await start(JSON.parse(options), commands)
    answerParent(commands)
    process.send({ id: 'ready', answer: { port } })
  } catch (error) {
    process.send({ id: 'ready', error: error.message.split('\n')[0] })
  }
}

/** Bytes after garbage collection. */
async function readMemory () {
  for (let round = 0; round < 3; round++) {
    global.gc()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  return { rss, heap: heapUsed + external }
}

void main(process.argv.slice(2))
