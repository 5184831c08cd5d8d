'use strict'

const { createServer } = require('node:http')
const { Server } = require('socket.io')
const { sayMessage } = require('../load/messages')
const { subscribeEach } = require('./topics')

/** socket.io over its websocket transport: JSON, but nothing is validated. */
async function start ({ task, redisPort, role }, commands) {
  const server = createServer()
  // No pings while it is measured: the load counts bytes.
  const io = new Server(server, {
    transports: ['websocket'],
    pingInterval: 600_000,
    serveClient: false
  })
  if (redisPort !== undefined) await useRedis(io, redisPort)
  io.on('connection', TASKS[task](io, commands, role))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', 4096, resolve))
  return server.address().port
}

/** Resolves when it is subscribed. */
async function useRedis (io, port) {
  const { createAdapter } = require('@socket.io/redis-adapter')
  const { createClient } = require('redis')
  const publisher = createClient({ socket: { host: '127.0.0.1', port } }).on('error', () => {})
  const subscriber = publisher.duplicate().on('error', () => {})
  await Promise.all([publisher.connect(), subscriber.connect()])
  io.adapter(createAdapter(publisher, subscriber))
  await subscriber.ping()
}

const TASKS = {
  json: () => (socket) => {
    socket.on('m', (message) => socket.emit('m', message))
  },

  fanOut (io) {
    const message = JSON.parse(sayMessage(0))
    return (socket) => {
      socket.on('go', (count) => {
        for (let left = count; left > 0; left--) io.emit('m', message)
      })
    }
  },

  across (io, _commands, role) {
    const message = JSON.parse(sayMessage(0))
    return (socket) => {
      if (role === 'receives') return socket.join('all')
      socket.on('go', (count) => {
        for (let left = count; left > 0; left--) io.to('all').emit('m', message)
      })
    }
  },

  subscribe (io, commands) {
    commands.subscribe = () =>
      subscribeEach(io.sockets.sockets.values(), (socket, topic) => {
        void socket.join(topic)
      })
    return () => {}
  }
}

module.exports = { start }
