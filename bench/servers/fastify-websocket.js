'use strict'

const Fastify = require('fastify')
const fastifyWebsocket = require('@fastify/websocket')
const { buildJsonEcho } = require('./by-hand')

/** @fastify/websocket, with ajv by hand where messages are typed. */
async function start ({ task }) {
  const app = Fastify()
  await app.register(fastifyWebsocket)
  app.get('/ws', { websocket: true }, TASKS[task]())
  await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
  return app.server.address().port
}

const TASKS = {
  echo: () => (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  },
  json: () => buildJsonEcho()
}

module.exports = { start }
