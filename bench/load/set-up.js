'use strict'

const { ENDED, openClient } = require('./client')
const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

const AT_ONCE = 16

/**
 * Connects, upgrades, gets one echo, closes with a handshake, waits for the end of TCP; and so on.
 */
async function measureSetUp (target, burst, times) {
  const slice = new Slice()
  const run = async () => {
    for (let beganAtMs = slice.begin(); beganAtMs !== undefined; beganAtMs = slice.begin()) {
      await liveOnce(target, burst)
      slice.end(beganAtMs)
    }
  }
  for (let lane = 0; lane < AT_ONCE; lane++) run().catch((error) => slice.fail(error))
  const { turnsPerSecond, latencyMicroseconds, loadCpu } = await slice.measure(times)
  return { latencyMicroseconds, loadCpu, value: turnsPerSecond }
}

async function liveOnce (target, { request, answer, close }) {
  const client = await openClient(target)
  await exchange(client, request, answer)
  await exchange(client, close.request, close.answer)
  await new Promise((resolve, reject) => {
    client.onBytes = () => reject(new Error('bytes behind the close frame'))
    client.onEnd = (reason) => reason === ENDED ? resolve() : reject(new Error(reason))
  })
  client.end()
}

function exchange (client, request, answer) {
  return new Promise((resolve, reject) => {
    new Receiver(client, { answer, onWhole: resolve, onWrong: reject }).start()
    client.write(request)
  })
}

module.exports = { measureSetUp }
