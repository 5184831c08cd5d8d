import { connectRaw, handshake, text, type RawClient } from './raw.ts'
import { startServer, type Teardown } from './server.ts'

const CLIENTS = 128
const ROUNDS = 8

/** What many do at once, on a server of their own in this process. */
export interface Crowd {
  /** From here on answers wait for the end of their turn, until some turns have had few of them. */
  work: () => Promise<void>
}

export async function gatherCrowd (t: Teardown): Promise<Crowd> {
  const { port } = await startServer(t, (app) => { app.get('/', { websocketHandler: { handleIn: ({ data }, _state, ws) => ws.push(data) } }) })
  const clients: RawClient[] = []
  while (clients.length < CLIENTS) {
    const client = (await connectRaw(t, port)).write(handshake('/'))
    clients.push(await client.until(() => client.size > 0))
  }
  for (const client of clients) client.size = 0
  return {
    async work () {
      for (let round = 0; round < ROUNDS; round++) {
        for (const client of clients) client.write(text('x'))
        for (const client of clients) await client.until(() => client.size === 3)
        for (const client of clients) client.size = 0
      }
    }
  }
}
