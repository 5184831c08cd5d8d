'use strict'

const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

const PAUSE_MS = 5
/**
 * Bursts in flight: together just under the 64 KiB that Node reads at once. With more, how long a
 * server stays with one socket is up to TCP's autotuning: the same server showed a median of 80 ms
 * on one connection and 640 ms on another.
 */
const FLOOD_DEPTH = 2

/**
 * The first client floods; the others send a message, wait for it, and rest. Their 99th percentile
 * is what is measured.
 */
async function measureQuiet ([flooder, ...others], { flood, single }, times) {
  const flooding = new Slice()
  const quiet = new Slice()
  startFlood(flooder, flood, flooding)
  for (const client of others) startQuiet(client, single, quiet)
  const [{ turnsPerSecond: bursts }, { latencyMicroseconds, loadCpu }] = await Promise.all([
    flooding.measure(times),
    quiet.measure(times)
  ])
  return {
    value: latencyMicroseconds.p99,
    loadCpu,
    more: { p50: latencyMicroseconds.p50, flooded: bursts * flood.count }
  }
}

function startFlood (client, { request, answer }, slice) {
  const beganAtMs = []
  const send = () => {
    const now = slice.begin()
    if (now === undefined) return
    beganAtMs.push(now)
    client.write(request)
  }
  const onWhole = () => {
    slice.end(beganAtMs.shift())
    send()
  }
  new Receiver(client, {
    answer,
    endless: true,
    onWhole,
    onWrong: (error) => slice.fail(error)
  }).start()
  for (let burst = 0; burst < FLOOD_DEPTH; burst++) send()
}

function startQuiet (client, { request, answer }, slice) {
  let beganAtMs
  const send = () => {
    beganAtMs = slice.begin()
    if (beganAtMs !== undefined) client.write(request)
  }
  const onWhole = () => {
    slice.end(beganAtMs)
    setTimeout(send, PAUSE_MS)
  }
  new Receiver(client, { answer, onWhole, onWrong: (error) => slice.fail(error) }).start()
  send()
}

module.exports = { measureQuiet }
