'use strict'

/** Elysia, to be run by Bun. */
async function start ({ task }) {
  const { Elysia, t } = await import('elysia')
  const Say = t.Object({ type: t.Literal('say'), id: t.Integer(), text: t.String() })
  const tasks = {
    echo: { message: (ws, message) => { ws.send(message) } },
    json: { body: Say, response: Say, message: (ws, message) => { ws.send(message) } }
  }
  const app = new Elysia().ws('/ws', tasks[task])
  app.listen({ hostname: '127.0.0.1', port: 0 })
  return app.server.port
}

module.exports = { start }
