// @fastify/swagger and fastify-websock/asyncapi both extend FastifySchema. Their declarations must
// agree in one program.
import swagger from '@fastify/swagger'
import Fastify, { type FastifySchema } from 'fastify'
import { asyncapi } from '../../src/asyncapi/index.ts'
import websock, { typed } from '../../src/index.ts'

const schema = {
  hide: true,
  deprecated: true,
  tags: ['a'],
  summary: 's',
  description: 'd',
  operationId: 'o',
  security: [{ token: [] }],
  websocket: { receive: typed<string>(), send: typed<string>() }
} satisfies FastifySchema

void (async () => {
  const app = Fastify()
  await app.register(swagger, { openapi: { info: { title: 't', version: '1' } } })
  await app.register(websock)
  await app.register(asyncapi, { info: { title: 't', version: '1' } })
  app.get('/', {
    schema,
    websocketHandler: { handleIn: (message, _state, ws) => ws.push(message) }
  })
  return [app.swagger(), app.asyncapi()]
})
