'use strict'

/**
 * One write holds 32 frames, the next one goes out when all 32 are back: what a burst costs
 * decides.
 */
module.exports = require('./small-messages')('pipelined', { inFlight: 32 })
