'use strict'

module.exports = [
  require('./ping-pong'),
  require('./pipelined'),
  require('./binary')
]
