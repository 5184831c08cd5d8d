'use strict'

const { createHash } = require('node:crypto')
const { createServer } = require('node:http')
const { plainFrame } = require('../load/frames')
const { sayMessage } = require('../load/messages')
const { countOrdered } = require('./by-hand')

/**
 * No WebSocket library at all, and no care: what Node's sockets and the kernel take for a fan-out,
 * whoever frames it.
 */
async function start () {
  const sockets = new Set()
  const frame = plainFrame('text', Buffer.from(sayMessage(0)))
  const server = createServer()
  server.on('upgrade', (request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
      `Connection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(request)}\r\n\r\n`
    )
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket)).on('data', (order) => {
      const all = Buffer.concat(Array(countOrdered(unmask(order))).fill(frame))
      for (const each of sockets) each.write(all)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  return server.address().port
}

function acceptKey ({ headers }) {
  return createHash('sha1')
    .update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
}

/** The text of a short frame that is whole. */
function unmask (frame) {
  return Buffer.from(frame.subarray(6))
    .map((byte, index) => byte ^ frame[2 + (index & 3)])
    .toString()
}

module.exports = { start }
