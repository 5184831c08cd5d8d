import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { WebSocket } from 'ws'

/** Listens, sends `hi` to /echo, closes the app and prints the answer. */
export async function exchange (app: FastifyInstance): Promise<void> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = new WebSocket(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/echo`)
  client.on('open', () => client.send('"hi"'))
  const answer = await new Promise<string>((resolve, reject) => {
    client.on('message', (data: Buffer) => resolve(data.toString()))
    client.on('error', reject)
    client.on('close', () => reject(new Error('closed without an answer')))
  })
  await app.close()
  process.stdout.write(answer)
}
