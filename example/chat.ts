import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

const Nick = Type.String({
  minLength: 1,
  maxLength: 32,
  description: 'a name in the room',
  examples: ['ann']
})
const At = Type.Integer({ description: 'milliseconds since 1970' })

const ToServer = Type.Union([
  Type.Object(
    { event: Type.Literal('say'), text: Type.String({ minLength: 1, maxLength: 2000 }) },
    {
      title: 'Say something to all clients in the room',
      examples: [{ event: 'say', text: 'Hello!' }]
    }
  )
])
const ToClient = Type.Union([
  Type.Object(
    { event: Type.Literal('said'), from: Nick, text: Type.String(), at: At },
    { title: 'A client said something' }
  ),
  Type.Object({ event: Type.Literal('joined'), nick: Nick, at: At }, { title: 'A client joined' }),
  Type.Object({ event: Type.Literal('left'), nick: Nick, at: At }, { title: 'A client left' }),
  Type.Object(
    { event: Type.Literal('here'), nicks: Type.Array(Nick) },
    { title: 'The clients in the room: the first message' }
  )
])

/**
 * A chat with rooms. A message is broadcast to all sockets in the room, on every node when there is
 * an engine.
 */
export const chat: FastifyPluginAsyncTypebox = async (app) => {
  const listNicks = (room: string): string[] => app.websock.presence(room).map(({ key }) => key)

  app.get('/ws/chat/:room', {
    schema: {
      summary: 'A chat with rooms',
      description:
        'A message goes to all clients in the room, the sender included. A room exists while it ' +
        'has clients.',
      tags: ['demo'],
      params: Type.Object({
        room: Type.String({ minLength: 1, maxLength: 64, examples: ['lobby'] })
      }),
      querystring: Type.Object({ nick: Nick }),
      websocket: { receive: ToServer, send: ToClient }
    },
    websocketHandler: {
      init ({ params, query: { nick } }, ws) {
        const room = `chat ${params.room}`
        ws.subscribe(room)
        ws.track(room, nick)
        return ws.push({ event: 'here', nicks: listNicks(room) }, { room, nick })
      },
      on: {
        event: {
          say ({ text }, { room, nick }) {
            app.websock.broadcast(room, { event: 'said', from: nick, text, at: Date.now() })
          }
        }
      },
      handlePresence: ({ joins, leaves }, _state, ws) =>
        ws.push([
          ...leaves.map(({ key }) => ({ event: 'left' as const, nick: key, at: Date.now() })),
          ...joins.map(({ key }) => ({ event: 'joined' as const, nick: key, at: Date.now() }))
        ]),
      handleGap: (_gap, { room }, ws) => ws.push({ event: 'here', nicks: listNicks(room) })
    }
  })
}
