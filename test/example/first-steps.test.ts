import t from 'tap'
import { Type } from '@fastify/type-provider-typebox'
import { connect } from '../helpers/client.ts'
import { startServer } from '../helpers/server.ts'

void t.test('a typed route answers', async (t) => {
  const server = await startServer(t, (app) => {
    app.get('/hello/:name', {
      schema: {
        params: Type.Object({ name: Type.String() }),
        querystring: Type.Object({ from: Type.Integer({ default: 1 }) }),
        websocket: {
          receive: Type.Object({ event: Type.Literal('count') }),
          send: Type.Object({ name: Type.String(), count: Type.Integer() })
        }
      },
      websocketHandler: {
        init: ({ params, query }, ws) => ws.ok({ name: params.name, count: query.from }),
        handleIn: (_message, state, ws) => ws.push(state, { ...state, count: state.count + 1 })
      }
    })
  })
  const client = await connect(t, server.url('/hello/ann?from=7'))
  client.send({ event: 'count' })
  client.send({ event: 'count' })
  t.same(await client.nextJson(), { name: 'ann', count: 7 })
  t.same(await client.nextJson(), { name: 'ann', count: 8 })
})
