'use strict'

// Written by scripts/write-entry.js from the exports of src/index.ts.
// Node finds the names for `import { … }` only where each is assigned by itself.
const lib = require('./dist/index.js')

module.exports = lib.websock
module.exports.default = lib.websock
module.exports.websock = lib.websock
module.exports.closeCodes = lib.closeCodes
module.exports.defineWebsocketRoute = lib.defineWebsocketRoute
module.exports.pingFrame = lib.pingFrame
module.exports.topic = lib.topic
module.exports.typed = lib.typed
module.exports.withTypeProvider = lib.withTypeProvider
