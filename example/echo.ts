import type { FastifyPluginAsync } from 'fastify'

const MIB = 1024 * 1024

/**
 * Sends each message back unchanged. For conformance suites, so with limits for their largest
 * cases.
 */
export const echo: FastifyPluginAsync = async (app) => {
  app.get('/ws/echo', {
    schema: { summary: 'Sends each message back unchanged', tags: ['demo'] },
    websocketOptions: {
      compress: true,
      maxMessageBytes: 16 * MIB,
      maxMailboxBytes: 64 * MIB,
      maxBufferedBytes: 64 * MIB
    },
    websocketHandler: {
      handleIn: (message, _state, ws) => ws.push(message)
    }
  })
}
