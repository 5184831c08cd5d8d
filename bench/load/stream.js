'use strict'

const { Receiver } = require('./receiver')
const { Slice } = require('./slice')

/** Counts what comes by itself. */
async function measureStream (clients, answer, times) {
  const slice = new Slice()
  const onWhole = () => slice.count()
  for (const client of clients) {
    new Receiver(client, {
      answer,
      endless: true,
      onWhole,
      onWrong: (error) => slice.fail(error)
    }).start()
  }
  const { countedPerSecond, loadCpu } = await slice.measure(times)
  return { messagesPerSecond: countedPerSecond, loadCpu }
}

module.exports = { measureStream }
