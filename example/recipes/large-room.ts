import { randomUUID } from 'node:crypto'
import { Type, type FastifyPluginAsyncTypebox, type Static } from '@fastify/type-provider-typebox'
import { topic } from 'fastify-websock'

const Here = Type.Object({
  event: Type.Literal('here'),
  count: Type.Integer(),
  nicks: Type.Array(Type.String())
})

/** At most one message a second tells a room who is in it, however many come and go. */
export const largeRoom: FastifyPluginAsyncTypebox = async (app) => {
  const process = randomUUID()
  /** What this process tells its own connections: each process has counts of its own. */
  const countsOf = (topicOfRoom: string) =>
    topic<{ Message: Static<typeof Here> }>(`counts ${process} ${topicOfRoom}`)

  const changed = new Set<string>()
  const listener = { handlePresence: ({ topic }: { topic: string }) => { changed.add(topic) } }

  const timer = setInterval(() => {
    for (const room of changed) {
      const present = app.websock.presence(room)
      const nicks = present.slice(0, 50).map(({ key }) => key)
      app.websock.broadcast(countsOf(room), { event: 'here', count: present.length, nicks })
      if (present.length === 0) app.websock.unsubscribe(room, listener)
    }
    changed.clear()
  }, 1000)
  app.addHook('onClose', async () => clearInterval(timer))

  app.get('/ws/large-rooms/:room', {
    schema: {
      params: Type.Object({ room: Type.String({ maxLength: 64 }) }),
      querystring: Type.Object({ nick: Type.String({ maxLength: 32 }) }),
      websocket: { send: Here }
    },
    websocketHandler: {
      init ({ params, query }, ws) {
        const room = `large room ${params.room}`
        app.websock.subscribe(room, listener)
        ws.subscribe(countsOf(room))
        ws.track(room, query.nick)
      }
    }
  })
}
