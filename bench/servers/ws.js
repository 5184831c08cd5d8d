'use strict'

const { createServer } = require('node:http')
const { WebSocketServer } = require('ws')
const { buildJsonEcho } = require('./by-hand')

/** Bare ws: a listener for each connection, and nothing else. */
async function start ({ task }) {
  const server = createServer()
  const websockets = new WebSocketServer({ server })
  websockets.on('connection', TASKS[task]())
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  return server.address().port
}

const TASKS = {
  echo: () => (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  },
  json: () => buildJsonEcho()
}

module.exports = { start }
