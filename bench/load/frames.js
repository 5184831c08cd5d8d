'use strict'

const OPCODES = { text: 1, binary: 2, close: 8 }
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** A whole frame as a client sends it. */
function maskedFrame (opcode, payload) {
  const masked = Buffer.from(payload)
  for (let index = 0; index < masked.length; index++) masked[index] ^= MASK[index & 3]
  const head = frameHead(opcode, payload.length)
  head[1] |= 0x80
  return Buffer.concat([head, MASK, masked])
}

/** A whole frame as a server sends it. */
function plainFrame (opcode, payload) {
  return Buffer.concat([frameHead(opcode, payload.length), payload])
}

function frameHead (opcode, length) {
  const first = 0x80 | OPCODES[opcode]
  if (length < 126) return Buffer.from([first, length])
  if (length <= 0xffff) return Buffer.from([first, 126, length >> 8, length & 0xff])
  const head = Buffer.from([first, 127, 0, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(length, 6)
  return head
}

module.exports = { maskedFrame, plainFrame }
