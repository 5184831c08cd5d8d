'use strict'

const { createRequire } = require('node:module')
const { join } = require('node:path')
const { sayMessage } = require('../load/messages')
const { TIMER_INTERVAL_MS, countOrdered } = require('./by-hand')
const { onRequest, querystring } = require('./set-up')
const { subscribeEach } = require('./topics')

// What this package is built and tested with, and not the peers' copies.
const { Type } = createRequire(join(__dirname, '../../package.json'))('typebox')

/** This package, as its README says. */
async function start (
  { task, asynchronous = false, plugin = {}, redisPort, role, checkout = join(__dirname, '../..') },
  commands
) {
  const requireOfOurs = createRequire(join(checkout, 'package.json'))
  const Fastify = requireOfOurs('fastify')
  const websock = requireOfOurs('./index.js')
  const app = Fastify()
  app.decorateRequest('user', '')
  await app.register(
    websock,
    redisPort === undefined ? plugin : { ...plugin, engine: createEngine(requireOfOurs, redisPort) }
  )
  app.get('/ws', TASKS[task]({ app, asynchronous, commands, role }))
  await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 })
  if (role === 'receives') {
    app.websock.subscribe('all', {})
    await app.websock.subscriptionReady('all')
  }
  return app.server.address().port
}

function createEngine (requireOfOurs, port) {
  const { createClient } = requireOfOurs('redis')
  const { redisEngine } = requireOfOurs('./dist/engines/redis-engine.js')
  return redisEngine(createClient({ socket: { host: '127.0.0.1', port } }).on('error', () => {}))
}

const Say = Type.Object({ type: Type.Literal('say'), id: Type.Integer(), text: Type.String() })

const TASKS = {
  echo: ({ asynchronous }) => ({
    websocketHandler: {
      handleIn: asynchronous
        ? async ({ data }, _state, ws) => ws.push(data)
        : ({ data }, _state, ws) => ws.push(data)
    }
  }),

  json: ({ asynchronous }) => ({
    schema: { websocket: { receive: Say, send: Say } },
    websocketHandler: {
      handleIn: asynchronous
        ? async (message, _state, ws) => ws.push(message)
        : (message, _state, ws) => ws.push(message)
    }
  }),

  setUp: () => ({
    onRequest,
    schema: { querystring },
    websocketHandler: {
      init: ({ query }, ws) => ws.ok({ room: query.room, said: 0 }),
      handleIn: ({ data }, state, ws) => ws.push(data, { ...state, said: state.said + 1 })
    }
  }),

  idle: () => ({ websocketHandler: {} }),

  timer () {
    const text = sayMessage(0)
    return {
      websocketHandler: {
        init: (_request, ws) => { ws.postInterval(text, TIMER_INTERVAL_MS) },
        handleInfo: (message, _state, ws) => ws.push(message)
      }
    }
  },

  fanOut: ({ app }) => ({
    websocketHandler: buildFanOut((text) => app.websock.broadcast('all', text))
  }),

  publish: ({ app }) => ({
    websocketHandler: {
      ...buildFanOut((text) => app.websock.publish('all', text)),
      handleInfo: (message, _state, ws) => ws.push(message)
    }
  }),

  across ({ app, role }) {
    const { init, handleIn } = buildFanOut((text) => app.websock.broadcast('all', text))
    return { websocketHandler: role === 'receives' ? { init } : { handleIn } }
  },

  subscribe ({ commands }) {
    const connections = new Map()
    commands.subscribe = () =>
      subscribeEach(connections.values(), (ws, topic) => ws.subscribe(topic))
    return {
      websocketHandler: {
        init: (_request, ws) => { connections.set(ws.id, ws) },
        terminate: (_reason, _state, ws) => { connections.delete(ws.id) }
      }
    }
  }
}

function buildFanOut (tellAll) {
  const text = sayMessage(0)
  return {
    init: (_request, { subscribe }) => subscribe('all'),
    handleIn ({ data }) {
      for (let left = countOrdered(data); left > 0; left--) tellAll(text)
    }
  }
}

module.exports = { start }
