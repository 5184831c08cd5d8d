import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** Each client is told its id. `POST /kick/:id` ends the connection with that id, on any node. */
export const kick: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/ws/id', {
    schema: {
      websocket: { send: Type.Object({ event: Type.Literal('id'), id: Type.String() }) }
    },
    websocketHandler: {
      init: (_args, ws) => ws.push({ event: 'id', id: ws.id }, {})
    }
  })

  app.post('/kick/:id', {
    schema: { params: Type.Object({ id: Type.String() }) }
  }, async ({ params }) => ({ kicked: app.websock.ref(params.id).close(4001, 'kicked') }))
}
