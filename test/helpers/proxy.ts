import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './server.ts'

/** Stands between clients and a server on 127.0.0.1, and loses what one tells it to. */
export class Proxy {
  readonly port: number
  readonly #links: ReadonlySet<Link>
  /** Answers of the server are kept from the clients. */
  isMute = false

  constructor (port: number, links: ReadonlySet<Link>) {
    this.port = port
    this.#links = links
  }

  get connections (): number {
    return this.#links.size
  }

  /**
   * From here on nothing passes on the connections that there are, or on those that this holds for,
   * in either direction, not even an end: `cut` frees them. `port`: the port from which the proxy
   * is connected to the server.
   */
  blackHole (isMeant: (port: number) => boolean = () => true): void {
    for (const link of this.#links) {
      if (isMeant(link.target?.localPort ?? 0)) link.isBlackHole = true
    }
  }

  /** New connections are taken, and lead nowhere. */
  isClosed = false

  /** What clients send is not read any more: the buffers in between become full. */
  stall (): void {
    for (const { client } of this.#links) client.pause()
  }

  /** Ends all connections that there are, as a network does. */
  cut (): void {
    for (const link of this.#links) link.destroy()
  }
}

class Link {
  readonly client: Socket
  readonly target: Socket | undefined
  isBlackHole: boolean

  constructor (client: Socket, target: Socket | undefined) {
    this.client = client
    this.target = target
    this.isBlackHole = target === undefined
  }

  destroy (): void {
    for (const socket of [this.client, this.target]) socket?.resetAndDestroy()
  }
}

/** Closed when the test ends. */
export async function startProxy (t: Teardown, targetPort: number): Promise<Proxy> {
  const links = new Set<Link>()
  const server = createServer((client) => {
    const target = proxy.isClosed ? undefined : connect(targetPort, '127.0.0.1')
    const link = new Link(client, target)
    links.add(link)
    client.on('data', (bytes) => { if (!link.isBlackHole) target?.write(bytes) })
    target?.on('data', (bytes) => { if (!link.isBlackHole && !proxy.isMute) client.write(bytes) })
    for (const socket of [client, target]) {
      socket?.on('error', () => {}).on('close', () => {
        // The other end is not told, and `cut` has yet to find it.
        if (link.isBlackHole && !(client.destroyed && (target?.destroyed ?? true))) return
        links.delete(link)
        client.destroy()
        target?.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = new Proxy((server.address() as AddressInfo).port, links)
  t.teardown(() => {
    server.close()
    proxy.cut()
  })
  return proxy
}
