'use strict'

const { sayMessage } = require('../load/messages')
const { countOrdered } = require('./by-hand')

/** Elysia, to be run by Bun. */
async function start ({ task }) {
  const { Elysia, t } = await import('elysia')
  const Say = t.Object({ type: t.Literal('say'), id: t.Integer(), text: t.String() })
  const text = sayMessage(0)
  const tasks = {
    echo: { message: (ws, message) => { ws.send(message) } },
    fanOut: {
      open: (ws) => { ws.subscribe('all') },
      message (_ws, order) {
        for (let left = countOrdered(order); left > 0; left--) app.server.publish('all', text)
      }
    },
    json: { body: Say, response: Say, message: (ws, message) => { ws.send(message) } }
  }
  const app = new Elysia().ws('/ws', tasks[task])
  app.listen({ hostname: '127.0.0.1', port: 0 })
  return app.server.port
}

module.exports = { start }
