'use strict'

const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

/** The first client orders messages for all; when each has got its own, it orders the next. */
async function measureFanOut (clients, { request, answer, count }, times) {
  const slice = new Slice()
  let waiting = 0
  let beganAtMs
  const order = () => {
    beganAtMs = slice.begin()
    if (beganAtMs === undefined) return
    waiting = clients.length
    clients[0].write(request)
  }
  const onWhole = () => {
    if (--waiting > 0) return
    slice.end(beganAtMs)
    order()
  }
  for (const client of clients) new Receiver(client, { answer, onWhole, onWrong: (error) => slice.fail(error) }).start()
  order()
  const { latencyMicroseconds, loadCpu } = await slice.measure(times)
  // Turns come one after the other, and few of them in a slice: only whole ones count.
  return { latencyMicroseconds, loadCpu, value: count * clients.length / latencyMicroseconds.mean * 1e6 }
}

module.exports = { measureFanOut }
