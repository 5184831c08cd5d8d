'use strict'

// `require('fastify-websock')` gives the plugin itself, as Fastify's own plugins do, with everything else as its properties.
// Each name stands here by itself so that Node finds it for `import { … }` too.
const lib = require('./dist/index.js')

module.exports = lib.websock
module.exports.default = lib.websock
module.exports.websock = lib.websock
module.exports.defineWebsocketRoute = lib.defineWebsocketRoute
module.exports.withTypeProvider = lib.withTypeProvider
module.exports.typed = lib.typed
module.exports.pingFrame = lib.pingFrame
module.exports.closeCodes = lib.closeCodes
