'use strict'

const { maskedFrame, plainFrame } = require('./frames')

const BINARY_BYTES = 16 * 1024
const LARGE_BYTES = 200_000

/**
 * What is echoed: JSON of 80 bytes, the same as an event of socket.io, 16 KiB, or 200 kB. The
 * number makes the messages of a burst differ, and keeps their length.
 */
const PAYLOADS = {
  text: { opcode: 'text', build: (number) => Buffer.from(sayMessage(number)) },
  event: { opcode: 'text', build: (number) => Buffer.from(`42["m",${sayMessage(number)}]`) },
  binary: {
    opcode: 'binary',
    build: (number) => Buffer.alloc(BINARY_BYTES, `${100_000 + number}|`)
  },
  large: { opcode: 'binary', build: (number) => Buffer.alloc(LARGE_BYTES, `${100_000 + number}|`) }
}

function sayMessage (number) {
  return JSON.stringify({
    type: 'say',
    id: 100_000 + number,
    text: 'The quick brown fox jumps over a dog, lazily'
  })
}

/** One write of `count` frames, and the bytes that must come back. */
function buildBurst (payload, count) {
  const { opcode, build } = PAYLOADS[payload]
  const payloads = Array.from({ length: count }, (_, number) => build(number))
  return {
    count,
    request: Buffer.concat(payloads.map((each) => maskedFrame(opcode, each))),
    answer: Buffer.concat(payloads.map((each) => plainFrame(opcode, each)))
  }
}

/** The frame that orders `count` messages for everybody, and the frame of one of them. */
function buildOrder (socketIo, count) {
  const [request, message] = socketIo
    ? [`42["go",${count}]`, `42["m",${sayMessage(0)}]`]
    : [`go ${count}`, sayMessage(0)]
  return {
    count,
    request: maskedFrame('text', Buffer.from(request)),
    message: plainFrame('text', Buffer.from(message))
  }
}

/** The close frame of a client, and the server's. */
function buildClose () {
  const code = Buffer.from([1000 >> 8, 1000 & 0xff])
  return { request: maskedFrame('close', code), answer: plainFrame('close', code) }
}

module.exports = { buildBurst, buildClose, buildOrder, sayMessage }
