'use strict'

/** The next message goes out when the last one is back: the latency of a turn decides. */
module.exports = require('./small-messages')('ping-pong', {})
