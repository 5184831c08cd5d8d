'use strict'

const { createServer } = require('node:http')
const { WebSocketServer } = require('ws')
const { TASKS_BY_HAND } = require('./by-hand')

/** Bare ws: a listener for each connection, and nothing else. */
async function start ({ task }, commands) {
  const server = createServer()
  const websockets = new WebSocketServer({ server })
  websockets.on('connection', TASKS_BY_HAND[task](commands))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  return server.address().port
}

module.exports = { start }
