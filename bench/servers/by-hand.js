'use strict'

const Ajv = require('ajv')

/** What one writes without a framework: parse, validate, stringify. */
function buildJsonEcho () {
  const validate = new Ajv().compile({
    type: 'object',
    properties: { type: { const: 'say' }, id: { type: 'integer' }, text: { type: 'string' } },
    required: ['type', 'id', 'text']
  })
  return (socket) => {
    socket.on('message', (data, binary) => {
      if (binary) return socket.close(1007)
      let message
      try {
        message = JSON.parse(data.toString())
      } catch {
        return socket.close(1007)
      }
      if (!validate(message)) return socket.close(1008)
      socket.send(JSON.stringify(message))
    })
  }
}

module.exports = { buildJsonEcho }
