import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './server.ts'

/** Stands between clients and a server on 127.0.0.1, and loses what one tells it to. */
export class Proxy {
  readonly port: number
  readonly #pairs: ReadonlySet<readonly [Socket, Socket]>
  /** Answers of the server are kept from the clients. */
  isMute = false

  constructor (port: number, pairs: ReadonlySet<readonly [Socket, Socket]>) {
    this.port = port
    this.#pairs = pairs
  }

  get connections (): number {
    return this.#pairs.size
  }

  /** Ends all connections that there are, as a network does. */
  cut (): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy()
  }
}

/** Closed when the test ends. */
export async function startProxy (t: Teardown, targetPort: number): Promise<Proxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1')
    const pair = [client, target] as const
    pairs.add(pair)
    client.on('data', (bytes) => target.write(bytes))
    target.on('data', (bytes) => { if (!proxy.isMute) client.write(bytes) })
    for (const socket of pair) {
      socket.on('error', () => {}).on('close', () => {
        pairs.delete(pair)
        for (const each of pair) each.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = new Proxy((server.address() as AddressInfo).port, pairs)
  t.teardown(() => {
    server.close()
    proxy.cut()
  })
  return proxy
}
