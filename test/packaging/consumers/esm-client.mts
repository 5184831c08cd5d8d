import Fastify from 'fastify'
import websock, { typed } from 'fastify-websock'
import { ClientError, connect, type Client } from 'fastify-websock/client'
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'

const app = Fastify()
await app.register(websock)
interface Ask { ref?: string, ask: string }
app.get('/', {
  schema: { websocket: { receive: typed<Ask>(), send: typed<Ask>() } },
  websocketHandler: {
    handleIn: (message, _state, ws) => ws.push({ ...message, ask: message.ask.toUpperCase() })
  }
})
await app.listen({ port: 0, host: '127.0.0.1' })
const client: Client<{ send: Ask; receive: Ask }> = connect(
  `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`,
  { WebSocket }
)
// @ts-expect-error -- no such field
void (() => client.send({ asks: 'x' }))
const answer = await client.request({ ask: 'hi' })
client.close()
if (!((await client.request({ ask: 'x' }).catch((error: unknown) => error)) instanceof ClientError))
  throw new Error('not a ClientError')
await app.close()
process.stdout.write(JSON.stringify(answer.ask))
