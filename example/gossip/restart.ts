import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isSameSecret } from './secret.ts'
import { topics } from './topics.ts'

export interface RestartOptions {
  /** Undefined: nobody may announce a restart. */
  readonly adminToken: string | undefined
}

/** Section 4: the operator announces that the server restarts, and is back in so many seconds. */
export const restart: FastifyPluginAsyncTypebox<RestartOptions> = async (app, { adminToken }) => {
  const downtime = Type.Integer({ minimum: 0, maximum: 86_400, default: 15 })
  app.post('/gossip/restart', {
    schema: { querystring: Type.Object({ downtime }) },
    // Before the query is validated.
    async onRequest (request, reply) {
      if (adminToken === undefined) return reply.callNotFound()
      const [, token] = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '') ?? []
      if (token === undefined || !isSameSecret(token, adminToken)) {
        return reply.code(401).header('www-authenticate', 'Bearer').send()
      }
    }
  }, async ({ query: { downtime } }, reply) => {
    app.websock.publish(topics.everybody, { event: 'restart', payload: { downtime } })
    return reply.code(204).send()
  })
}
