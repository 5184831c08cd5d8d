import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as later } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { startServerProcess, type ServerProcess } from '../helpers/server-process.ts'
import type { Teardown } from '../helpers/server.ts'

const CLIENTS = 50
const IN_FLIGHT = 4

/** A proxy with one port. It forwards new connections to the current target port. */
interface Proxy {
  port: number
  target: number
}

async function startProxy (t: Teardown): Promise<Proxy> {
  const proxy: Proxy = { port: 0, target: 0 }
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (front) => {
    const back = connect({ port: proxy.target, host: '127.0.0.1', allowHalfOpen: true })
    for (const [socket, other] of [[front, back], [back, front]] as const) {
      sockets.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          sockets.delete(socket)
          other.destroy()
        })
        .pipe(other)
    }
  })
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy.port = (server.address() as AddressInfo).port
  return proxy
}

/** The records of all clients. */
class Ledger {
  readonly confirmed = new Set<string>()
  readonly codes: Record<number, number> = {}
  readonly refusals: Record<number, number> = {}
  onRefusal: (() => void) | undefined
}

/**
 * Sends numbered messages until it is stopped. After each reconnect it sends the unconfirmed
 * messages again.
 */
class PersistentClient {
  readonly #id: number
  readonly #url: string
  readonly #ledger: Ledger
  readonly #unconfirmed: string[] = []
  readonly over: Promise<void>
  #sent = 0
  #stopping = false
  /** True when the client is connected and has got a confirmation since. */
  served = false

  constructor (id: number, url: string, ledger: Ledger) {
    this.#id = id
    this.#url = url
    this.#ledger = ledger
    this.over = this.#run()
  }

  /** Sends no new messages. `over` resolves when all are confirmed, or may stay unconfirmed. */
  stop (unconfirmed = false): void {
    this.#stopping = true
    if (unconfirmed) this.#unconfirmed.length = 0
  }

  async #run (): Promise<void> {
    while (!this.#stopping || this.#unconfirmed.length > 0) {
      await this.#connectOnce()
      this.served = false
      await later(5 + Math.random() * 20)
    }
  }

  async #connectOnce (): Promise<void> {
    const socket = new WebSocket(this.#url)
    let opened = false
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      this.#ledger.refusals[status] = (this.#ledger.refusals[status] ?? 0) + 1
      this.#ledger.onRefusal?.()
      response.resume()
      socket.terminate()
    })
    socket.on('error', () => this.#ledger.onRefusal?.())
    socket.on('open', () => {
      opened = true
      for (const message of this.#unconfirmed) socket.send(message)
      this.#fill(socket)
    })
    socket.on('message', (data: Buffer) => {
      this.#confirm(data.toString())
      this.#fill(socket)
    })
    const code = await new Promise<number>((resolve) => socket.on('close', resolve))
    if (opened && !this.#isDone) this.#ledger.codes[code] = (this.#ledger.codes[code] ?? 0) + 1
  }

  get #isDone (): boolean {
    return this.#stopping && this.#unconfirmed.length === 0
  }

  #confirm (message: string): void {
    const at = this.#unconfirmed.indexOf(message)
    if (at >= 0) this.#unconfirmed.splice(at, 1)
    this.#ledger.confirmed.add(message)
    this.served = true
  }

  #fill (socket: WebSocket): void {
    while (!this.#stopping && this.#unconfirmed.length < IN_FLIGHT) {
      const message = `${this.#id}.${++this.#sent}`
      this.#unconfirmed.push(message)
      socket.send(message)
    }
    if (this.#isDone) socket.close(1000)
  }

  get sent (): number {
    return this.#sent
  }
}

async function until (condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`)
    await later(5)
  }
}

void t.test(
  'four deploys behind one port: no confirmed message is lost and all clients reconnect',
  { timeout: 120_000 },
  async (t) => {
    const stored = new Map<string, number>()
    const ends: Record<string, number> = {}
    const start = async (): Promise<ServerProcess> => {
      const server = await startServerProcess(t, 'deploy-server.js')
      server.child.on('message', ({ type, value }: { type: string, value: string }) => {
        if (type === 'stored') stored.set(value, (stored.get(value) ?? 0) + 1)
        if (type === 'terminated') ends[value] = (ends[value] ?? 0) + 1
      })
      return server
    }
    const proxy = await startProxy(t)
    const ledger = new Ledger()
    const first = start()
    let upcoming = start()
    let current = await first
    proxy.target = current.port
    const clients = Array.from(
      { length: CLIENTS },
      (_, id) => new PersistentClient(id, `ws://127.0.0.1:${proxy.port}/`, ledger)
    )
    t.teardown(() => { for (const client of clients) client.stop(true) })
    const allServed = (): boolean => clients.every(({ served }) => served)

    const closeTimes: number[] = []
    const from = performance.now()
    for (let deploy = 0; deploy < 4; deploy++) {
      await until(allServed, 'all clients are served')
      const next = await upcoming
      if (deploy < 3) upcoming = start()
      const refused = new Promise<void>((resolve) => {
        ledger.onRefusal = resolve
      })
      const closed = current.next<number>('closed')
      // The proxy switches before the old server drains, or when it has refused the first client.
      if (deploy % 2 === 0) proxy.target = next.port
      current.child.kill('SIGTERM')
      if (deploy % 2 === 1) {
        await refused
        proxy.target = next.port
      }
      closeTimes.push(Math.round(await closed))
      t.equal(await current.exited, 0, 'the old process ends by itself')
      current = next
    }
    await until(allServed, 'the last server serves all clients')
    for (const client of clients) client.stop()
    await Promise.all(clients.map(({ over }) => over))

    const sent = clients.reduce((sum, client) => sum + client.sent, 0)
    const twice = [...stored.values()].filter((times) => times > 1).length
    t.comment(
      `${sent} messages, ${twice} stored more than once; ` +
      `${(performance.now() - from).toFixed(0)} ms; app.close() took ${closeTimes.join(', ')} ` +
      `ms; refusals ${JSON.stringify(ledger.refusals)}`
    )
    t.same(Object.keys(ledger.codes), ['1012'], 'every client got 1012')
    t.equal(ledger.codes[1012], CLIENTS * 4, 'once for each deploy')
    t.same(Object.keys(ledger.refusals), ['503'], 'clients that reconnected too early got 503')
    t.equal(ledger.confirmed.size, sent, 'all messages were confirmed in the end')
    t.same(
      [...ledger.confirmed].filter((message) => !stored.has(message)),
      [],
      'each confirmed message is stored'
    )
    t.equal(
      ends['shutdown'],
      CLIENTS * 4,
      'terminate ran for each connection that the deploys ended'
    )
  }
)
