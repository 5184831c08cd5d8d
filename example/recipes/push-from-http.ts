import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox'
import { topic } from 'fastify-websock'

const Notice = Type.Object({ event: Type.Literal('notice'), text: Type.String() })

/** The topic that all connections of a user are subscribed to. */
const user = (id: string) => topic<{ Message: Static<typeof Notice> }>(`user ${id}`)

/** `POST /notices/:id` reaches each connection of that user, on any node. */
export const pushFromHttp: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/ws/notices', {
    schema: {
      querystring: Type.Object({ id: Type.String() }),
      websocket: { send: Notice }
    },
    websocketHandler: {
      init ({ query }, ws) {
        ws.subscribe(user(query.id))
      }
    }
  })

  app.post('/notices/:id', {
    schema: {
      params: Type.Object({ id: Type.String() }),
      body: Type.Object({ text: Type.String({ maxLength: 500 }) })
    }
  }, async ({ params, body }, reply) => {
    app.websock.broadcast(user(params.id), { event: 'notice', text: body.text })
    return reply.code(202).send()
  })
}
