'use strict'

/**
 * As ping-pong, with so few that both ends are often idle: who lets the other one begin sooner is
 * ahead.
 */
module.exports = require('./small-messages')('few', { connections: 4 })
