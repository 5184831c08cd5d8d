'use strict'

const { fastify: Fastify } = require('fastify')
const websock = require('fastify-websock')
const { exchange } = require('./exchange.cjs')

async function main () {
  const app = Fastify()
  await app.register(websock, { maxMessageBytes: 1024 })
  app.get('/echo', {
    schema: {
      websocket: {
        receive: /** @type {websock.TypeToken<string>} */ (websock.typed()),
        send: /** @type {websock.TypeToken<string>} */ (websock.typed())
      }
    },
    websocketHandler: {
      handleIn (message, _state, ws) {
        // @ts-expect-error -- only strings may be pushed
        if (message === '') return ws.push(1)
        return ws.push(message.toUpperCase())
      }
    }
  })
  await exchange(app)
}

main()
