import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { typed } from 'fastify-websock'

declare module '@fastify/jwt' {
  interface FastifyJWT { user: { sub: string, exp: number } }
}

const EXPIRED = [4403, 'the session has expired'] as const
/** The longest delay that a timer takes: 24 days. */
const MAX_DELAY_MS = 2_147_483_647

const delayUntil = (expiresAt: number): number =>
  Math.min(Math.max(0, expiresAt - Date.now()), MAX_DELAY_MS)

/** A route for clients with a token, in a cookie or in `Authorization`, until it expires. */
export const auth: FastifyPluginAsyncTypebox<{ secret: string }> = async (app, { secret }) => {
  await app.register(cookie)
  await app.register(jwt, {
    secret,
    cookie: { cookieName: 'token', signed: false },
    verify: { requiredClaims: ['sub', 'exp'] }
  })

  app.get('/ws/me', {
    onRequest: async (request) => { await request.jwtVerify() },
    schema: {
      websocket: {
        receive: Type.Object({ event: Type.Literal('whoami') }),
        send: Type.Object({ event: Type.Literal('you'), user: Type.String() }),
        info: typed<'check'>()
      }
    },
    websocketHandler: {
      init ({ request }, ws) {
        const { sub, exp } = request.user
        ws.postAfter('check', delayUntil(exp * 1000))
        return ws.ok({ user: sub, expiresAt: exp * 1000 })
      },
      // Before each message: the timer's info waits behind the messages that were read before it.
      guard (_message, { expiresAt }, ws) {
        if (Date.now() >= expiresAt) return ws.stop('normal', EXPIRED)
      },
      handleIn: (_message, { user }, ws) => ws.push({ event: 'you', user }),
      // For a client that sends nothing.
      handleInfo (_check, { expiresAt }, ws) {
        if (Date.now() >= expiresAt) return ws.stop('normal', EXPIRED)
        ws.postAfter('check', delayUntil(expiresAt))
      }
    }
  })
}
