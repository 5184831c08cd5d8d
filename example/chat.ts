import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox'
import { typed, type WebsocketRef } from 'fastify-websock'

const Nick = Type.String({ minLength: 1, maxLength: 32 })
const At = Type.Integer({ description: 'milliseconds since 1970' })

const ToServer = Type.Union([
  Type.Object({ event: Type.Literal('say'), text: Type.String({ minLength: 1, maxLength: 2000 }) })
])
const ToClient = Type.Union([
  Type.Object({ event: Type.Literal('said'), from: Nick, text: Type.String(), at: At }),
  Type.Object({ event: Type.Literal('joined'), nick: Nick, at: At }),
  Type.Object({ event: Type.Literal('left'), nick: Nick, at: At }),
  Type.Object({ event: Type.Literal('here'), nicks: Type.Array(Nick) })
])
type News = Static<typeof ToClient>

/** Who is in a room: each member's mailbox, and the name it goes by. */
type Room = Map<WebsocketRef<News>, string>

/** A chat in one process: what one says goes into the mailbox of each member, and from there to its client. */
export const chat: FastifyPluginAsyncTypebox = async (app) => {
  const rooms = new Map<string, Room>()
  const tell = (room: Room, news: News): void => { for (const member of room.keys()) member.send(news) }

  app.get('/ws/chat/:room', {
    schema: {
      params: Type.Object({ room: Type.String({ minLength: 1, maxLength: 64 }) }),
      querystring: Type.Object({ nick: Nick }),
      websocket: { receive: ToServer, send: ToClient, info: typed<News>() }
    },
    websocketHandler: {
      init ({ params, query: { nick } }, ws) {
        const room: Room = rooms.get(params.room) ?? new Map()
        rooms.set(params.room, room.set(ws.ref, nick))
        tell(room, { event: 'joined', nick, at: Date.now() })
        return ws.push({ event: 'here', nicks: [...room.values()] }, { name: params.room, room, nick })
      },
      on: {
        event: {
          say ({ text }, { room, nick }) { tell(room, { event: 'said', from: nick, text, at: Date.now() }) }
        }
      },
      handleInfo: (news, _state, ws) => ws.push(news),
      terminate (_reason, { name, room, nick }, { ref }) {
        room.delete(ref)
        if (room.size === 0) rooms.delete(name)
        tell(room, { event: 'left', nick, at: Date.now() })
      }
    }
  })
}
