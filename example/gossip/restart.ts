import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Network } from './network.ts'
import { isSameSecret } from './secret.ts'
import { topics } from './topics.ts'

export interface RestartOptions {
  readonly network: Network
  /** Who may say so; without one nobody may. */
  readonly adminToken: string | undefined
}

/** The operator's notice that the server will be back in so many seconds: section 4. */
export const restart: FastifyPluginAsyncTypebox<RestartOptions> = async (
  app,
  { network, adminToken }
) => {
  app.post(
    '/gossip/restart',
    {
      schema: {
        querystring: Type.Object({
          downtime: Type.Integer({ minimum: 0, maximum: 86_400, default: 15 })
        })
      },
      // Before the query is looked at.
      async onRequest (request, reply) {
        if (adminToken === undefined) return reply.callNotFound()
        const [, token] = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '') ?? []
        if (token === undefined || !isSameSecret(token, adminToken)) {
          return reply.code(401).header('www-authenticate', 'Bearer').send()
        }
      }
    },
    async ({ query: { downtime } }, reply) => {
      network.publish(topics.everybody, { event: 'restart', payload: { downtime } })
      return reply.code(204).send()
    }
  )
}
