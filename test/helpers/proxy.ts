import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Teardown } from './server.ts'

/**
 * A TCP proxy between clients and a server on 127.0.0.1. Tests make it drop bytes and connections.
 */
export class Proxy {
  readonly port: number
  readonly #links: ReadonlySet<Link>
  /** True: drops the bytes from the server to the clients. */
  isMute = false

  constructor (port: number, links: ReadonlySet<Link>) {
    this.port = port
    this.#links = links
  }

  get connections (): number {
    return this.#links.size
  }

  /**
   * Drops all bytes and ends, in both directions, on the existing connections that `isSelected`
   * selects. `cut` destroys them. `port`: the local port of the proxy's connection to the server.
   */
  blackHole (isSelected: (port: number) => boolean = () => true): void {
    for (const link of this.#links) {
      if (isSelected(link.target?.localPort ?? 0)) link.isBlackHole = true
    }
  }

  /** True: new connections are accepted, but not connected to the server. */
  isClosed = false

  /** Stops reading from the clients, so that the buffers in between become full. */
  stall (): void {
    for (const { client } of this.#links) client.pause()
  }

  /** Resets all existing connections. */
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

/** Starts a proxy. It is closed when the test ends. */
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
        // In a black hole the other end stays open, and `cut` must still find the link.
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
