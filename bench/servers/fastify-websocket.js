'use strict'

const Fastify = require('fastify')
const fastifyWebsocket = require('@fastify/websocket')
const { TASKS_BY_HAND } = require('./by-hand')
const { onRequest, querystring } = require('./set-up')

/** @fastify/websocket, and the rest by hand. */
async function start ({ task }) {
  const app = Fastify()
  app.decorateRequest('user', '')
  await app.register(fastifyWebsocket)
  if (task === 'setUp') {
    app.get('/ws', { websocket: true, onRequest, schema: { querystring } }, greet)
  } else app.get('/ws', { websocket: true }, TASKS_BY_HAND[task]())
  await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
  return app.server.address().port
}

function greet (socket, request) {
  const state = { room: request.query.room, said: 0 }
  socket.on('message', (data, binary) => {
    state.said++
    socket.send(data, { binary })
  })
}

module.exports = { start }
