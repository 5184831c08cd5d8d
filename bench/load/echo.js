'use strict'

const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

/** Each client sends a burst, waits for its answer, and so on. */
async function measureEcho (clients, { count, request, answer }, times) {
  const slice = new Slice()
  for (const client of clients) {
    let beganAtMs
    const send = () => {
      beganAtMs = slice.begin()
      if (beganAtMs !== undefined) client.write(request)
    }
    const onWhole = () => {
      slice.end(beganAtMs)
      send()
    }
    new Receiver(client, { answer, onWhole, onWrong: (error) => slice.fail(error) }).start()
    send()
  }
  const { turnsPerSecond, latencyMicroseconds, loadCpu } = await slice.measure(times)
  return { latencyMicroseconds, loadCpu, value: turnsPerSecond * count }
}

module.exports = { measureEcho }
