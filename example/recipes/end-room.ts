import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { topic, typed } from 'fastify-websock'

const room = (id: string) =>
  topic<{ Message: { event: 'ended' }, Info: 'ended' }>(`room ${id}`)

const ENDED = [4000, 'the room has ended'] as const

/** `DELETE /rooms/:room` tells everybody in the room that it has ended, and closes, on any node. */
export const endRoom: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/ws/rooms/:room', {
    schema: {
      params: Type.Object({ room: Type.String() }),
      websocket: {
        receive: Type.Object({ event: Type.Literal('work') }),
        send: Type.Object({ event: Type.Union([Type.Literal('done'), Type.Literal('ended')]) }),
        info: typed<'ended'>()
      }
    },
    websocketHandler: {
      init ({ params }, ws) {
        ws.subscribe(room(params.room))
        ws.track(room(params.room), ws.id)
        return ws.ok({})
      },
      handleIn: (_message, _state, ws) => ws.push({ event: 'done' }),
      handleInfo: (_ended, _state, ws) => ws.stop('normal', ENDED)
    }
  })

  app.delete('/rooms/:room', {
    schema: { params: Type.Object({ room: Type.String() }) }
  }, async ({ params }) => {
    const topic = room(params.room)
    app.websock.broadcast(topic, { event: 'ended' })
    // Past the mailboxes: what waits there is dropped.
    for (const { address } of app.websock.presence(topic)) {
      app.websock.ref(address).close(...ENDED)
    }
    // For those of other nodes whose presence has not arrived here yet.
    app.websock.publish(topic, 'ended')
  })
}
