'use strict'

/** What stands before an upgrade in the set-up workload. */
function onRequest (request, _reply, done) {
  request.user = request.headers.host
  done()
}

const querystring = {
  type: 'object',
  properties: { room: { type: 'string', maxLength: 64 }, limit: { type: 'integer', default: 10 } },
  required: ['room']
}

module.exports = { onRequest, querystring }
