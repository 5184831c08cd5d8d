'use strict'

const { createServer } = require('node:http')

/** crossws on Node, without a framework around it. */
async function start ({ task }) {
  const { default: crossws } = await import('crossws/adapters/node')
  // No pings while it is measured: the load counts bytes.
  const adapter = crossws({ hooks: TASKS[task], idleTimeout: 600 })
  const server = createServer()
  server.on('upgrade', (request, socket, head) => adapter.handleUpgrade(request, socket, head))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  return server.address().port
}

const TASKS = {
  echo: {
    // rawData is text for text frames and a buffer for binary ones.
    message: (peer, message) => peer.send(message.rawData)
  }
}

module.exports = { start }
