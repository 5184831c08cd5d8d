import Fastify = require('fastify')
import websock = require('fastify-websock')
import client = require('fastify-websock/client')
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'

interface Ask { ref?: string, ask: string }

async function main (): Promise<void> {
  const app = Fastify()
  await app.register(websock)
  app.get('/', {
    schema: { websocket: { receive: websock.typed<Ask>(), send: websock.typed<Ask>() } },
    websocketHandler: { handleIn: (message, _state, ws) => ws.push({ ...message, ask: message.ask.toUpperCase() }) }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const url = `ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/`
  const connected = client.connect<{ send: Ask, receive: Ask }>(url, { WebSocket })
  const { ask } = await connected.request({ ask: 'hi' })
  // @ts-expect-error -- no such option
  void (() => client.connect(url, { retry: true }))
  connected.close()
  await app.close()
  process.stdout.write(JSON.stringify(ask))
}

void main()
