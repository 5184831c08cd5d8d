'use strict'

module.exports = [
  require('./ping-pong'),
  require('./few'),
  require('./pipelined'),
  ...require('./binary'),
  require('./set-up'),
  require('./idle-memory'),
  require('./timers'),
  require('./fan-out'),
  require('./two-nodes'),
  require('./subscriptions'),
  require('./quiet-beside-flood')
]
