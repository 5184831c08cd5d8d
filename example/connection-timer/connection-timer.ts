import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { typed } from 'fastify-websock'

const PATH = '/ws/connection_timer'

/** Tells a client how long it has been connected: when it asks, and each `everyMs` milliseconds. */
export const connectionTimer: FastifyPluginAsyncTypebox = async (app) => {
  app.get(`${PATH}/:name?`, {
    schema: {
      summary: 'How long a client has been connected',
      description:
        'The server answers the text `request_timer` with the seconds since the connection ' +
        'began. ' +
        'It also sends them each `everyMs` milliseconds. Other messages are ignored.',
      tags: ['demo'],
      params: Type.Object({
        name: Type.Optional(
          Type.String({ description: 'the name of the connection', examples: ['ann'] })
        )
      }),
      querystring: Type.Object({
        everyMs: Type.Integer({
          minimum: 50,
          maximum: 3_600_000,
          default: 15_000,
          description: 'milliseconds between two alerts'
        })
      }),
      websocket: { info: typed<'alert'>() }
    },
    websocketHandler: {
      init ({ params: { name }, query: { everyMs } }, ws) {
        ws.postInterval('alert', everyMs)
        return ws.ok({
          path: name === undefined ? PATH : `${PATH}/${percentEncode(name)}`,
          since: performance.now()
        })
      },
      handleIn (message, { path, since }, ws) {
        if (message.data === 'request_timer') {
          return ws.push(`Connected to ${path} for ${secondsFrom(since)}s.`)
        }
      },
      handleInfo: (_alert, { path, since }, ws) =>
        ws.push(`Alert for ${path} after ${secondsFrom(since)}s.`)
    }
  })
}

/** Encodes all characters except letters, digits and `-._~`. */
function percentEncode (text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) =>
    `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

function secondsFrom (since: number): number {
  return Math.floor((performance.now() - since) / 1000)
}
