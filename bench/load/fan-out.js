'use strict'

const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

/**
 * The first client orders `count` messages for each, and again when half of them have come: so the
 * server finds its next order when it is done with one, and is not idle while the last messages are
 * read. With `isAcross` the first client is on another node than the others, and is told nothing.
 */
async function measureFanOut (clients, { request, message, count }, times, isAcross = false) {
  const slice = new Slice()
  const receivers = isAcross ? clients.slice(1) : clients
  const ordered = receivers.length * count
  const beganAtMs = []
  let waiting = 0
  const order = () => {
    const now = slice.begin()
    if (now === undefined) return
    beganAtMs.push(now)
    waiting += ordered
    clients[0].write(request)
  }
  const onWhole = () => {
    if (waiting === 0) return slice.fail(new Error('more came than was ordered'))
    waiting--
    slice.count()
    if (waiting % ordered === 0) slice.end(beganAtMs.shift())
    if (waiting === ordered >> 1) order()
  }
  for (const client of receivers) {
    new Receiver(client, {
      answer: message,
      endless: true,
      onWhole,
      onWrong: (error) => slice.fail(error)
    }).start()
  }
  order()
  const { countedPerSecond, latencyMicroseconds, loadCpu } = await slice.measure(times)
  return { latencyMicroseconds, loadCpu, value: countedPerSecond }
}

module.exports = { measureFanOut }
