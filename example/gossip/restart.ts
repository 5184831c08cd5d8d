import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isSameSecret } from './secret.ts'
import { topics } from './topics.ts'

export interface RestartOptions {
  /** Undefined: the route answers 404. */
  readonly adminToken: string | undefined
}

/** The operator's route to announce a restart and its duration in seconds (section 4). */
export const restart: FastifyPluginAsyncTypebox<RestartOptions> = async (app, { adminToken }) => {
  const downtime = Type.Integer({ minimum: 0, maximum: 86_400, default: 15 })
  app.post('/gossip/restart', {
    schema: { querystring: Type.Object({ downtime }) },
    // In onRequest, so that the token is checked before the query.
    async onRequest (request, reply) {
      if (adminToken === undefined) return reply.callNotFound()
      const [, token] = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '') ?? []
      if (token === undefined || !isSameSecret(token, adminToken)) {
        return reply.code(401).header('www-authenticate', 'Bearer').send()
      }
    }
  }, async ({ query: { downtime } }, reply) => {
    app.websock.publish(topics.allSockets, { event: 'restart', payload: { downtime } })
    return reply.code(204).send()
  })
}
