'use strict'

const { maskedFrame, plainFrame } = require('./frames')

const BINARY_BYTES = 16 * 1024

/** What is sent: JSON of 80 bytes, or 16 KiB. The number makes each message of a burst another one, and keeps its length. */
const PAYLOADS = {
  text: { opcode: 'text', build: (number) => Buffer.from(sayMessage(number)) },
  event: { opcode: 'text', build: (number) => Buffer.from(`42["m",${sayMessage(number)}]`) },
  binary: { opcode: 'binary', build: (number) => Buffer.alloc(BINARY_BYTES, `${100_000 + number}|`) }
}

function sayMessage (number) {
  return JSON.stringify({ type: 'say', id: 100_000 + number, text: 'The quick brown fox jumps over a dog, lazily' })
}

/** One write of `count` frames, and the bytes that must come back. */
function buildBurst (kind, count) {
  const { opcode, build } = PAYLOADS[kind]
  const payloads = Array.from({ length: count }, (_, number) => build(number))
  return {
    count,
    request: Buffer.concat(payloads.map((payload) => maskedFrame(opcode, payload))),
    answer: Buffer.concat(payloads.map((payload) => plainFrame(opcode, payload)))
  }
}

module.exports = { buildBurst, sayMessage }
