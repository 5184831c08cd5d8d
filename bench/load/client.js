'use strict'

const net = require('node:net')
const { maskedFrame } = require('./frames')

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
/** The reason when the server has sent its FIN. */
const ENDED = 'the server closed the connection'
const CONNECTIONS_PER_ADDRESS = 10_000

// One for all sockets: what was read is looked at before the next read.
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * One raw socket. `onBytes(buffer, length)` sees what comes, `onEnd(reason)` that nothing more
 * will.
 */
class Client {
  onBytes = undefined
  onEnd = undefined
  #socket

  constructor (port, number = 0) {
    const options = {
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: readBuffer, callback: (length) => this.#read(length) }
    }
    // Beyond these the ephemeral ports of one address could run out.
    if (number >= CONNECTIONS_PER_ADDRESS) {
      options.localAddress = `127.0.0.${1 + Math.floor(number / CONNECTIONS_PER_ADDRESS)}`
    }
    this.#socket = net.connect(options)
    this.#socket.on('error', (error) => this.#end(error.message))
    this.#socket.on('end', () => this.#end(ENDED))
  }

  /** False when the socket has to catch up. */
  write (bytes) {
    return this.#socket.write(bytes)
  }

  destroy () {
    this.onEnd = undefined
    this.#socket.resetAndDestroy()
  }

  /** Hangs up in the usual way. */
  end () {
    this.onEnd = undefined
    this.#socket.destroy()
  }

  #read (length) {
    this.onBytes(readBuffer, length)
    return true
  }

  #end (reason) {
    this.onEnd?.(reason)
  }
}

function upgradeRequest (path) {
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
  )
}

/**
 * Resolves with a client behind its 101, and behind socket.io's own greetings where those are asked
 * for.
 */
function openClient ({ port, path, socketIo = false }, number) {
  return new Promise((resolve, reject) => {
    const client = new Client(port, number)
    let text = ''
    let greeted = false
    client.onEnd = (reason) =>
      reject(new Error(`${reason}, after ${JSON.stringify(text.slice(0, 200))}`))
    client.onBytes = (buffer, length) => {
      text += buffer.latin1Slice(0, length)
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!text.startsWith('HTTP/1.1 101 ')) return client.onEnd('no 101')
      if (socketIo && !greeted && text.indexOf('0{', end) > 0) {
        greeted = true
        client.write(maskedFrame('text', Buffer.from('40')))
      }
      if (!socketIo || text.indexOf('40{', end) > 0) resolve(client)
    }
    client.write(upgradeRequest(path))
  })
}

module.exports = { ENDED, openClient }
