// npm run load:gossip: a load test of the example server, with 2 000 games and 500 messages a
// second. With `--nodes 2` two servers form one network, with the broker of REDIS_URL or NATS_URL.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { WebSocket } from 'ws'
import type { KnownGame } from './known-games.ts'
import type { ToGame } from './protocol.ts'

const {
  values: { games: GAMES, perSecond: PER_SECOND, seconds: SECONDS, nodes: NODES }
} = parseArgs({
  options: {
    games: { type: 'string', default: '2000' },
    perSecond: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    nodes: { type: 'string', default: '1' }
  }
})
const PLAYERS = 20
const CHANNELS = 3
/** Games on one channel. */
const LISTENERS = 30
const BATCH_MS = 20

const players = Array.from({ length: PLAYERS }, (_, i) => `Player ${i}`)

class Load {
  /** How often each message has arrived. */
  readonly arrived: number[] = []
  readonly sentAt: number[] = []
  readonly latencies: number[] = []
  closed = 0
  failed = 0
  readonly #games: readonly KnownGame[]
  readonly #sockets: WebSocket[] = []

  constructor (games: readonly KnownGame[]) {
    this.#games = games
  }

  channelsOf (game: number): string[] {
    const channels = Math.ceil(this.#games.length * CHANNELS / LISTENERS)
    return Array.from({ length: CHANNELS }, (_, i) => channelName((game * CHANNELS + i) % channels))
  }

  /** Connects ten games at a time, so that the server's listen backlog does not matter. */
  async connect (urls: readonly string[]): Promise<void> {
    for (let i = 0; i < this.#games.length; i += 10) {
      await Promise.all(this.#games.slice(i, i + 10).map((game, j) =>
        this.#join(urls[j % urls.length] as string, game, i + j)))
    }
  }

  send (number: number): void {
    const game = number % this.#games.length
    const channel = this.channelsOf(game)[Math.floor(number / this.#games.length) % CHANNELS]
    this.arrived[number] = 0
    this.sentAt[number] = performance.now()
    this.#sockets[game]?.send(
      JSON.stringify({
        event: 'channels/send',
        ref: number,
        payload: { channel, name: 'Player 1', message: `${number} ${'.'.repeat(80)}` }
      })
    )
  }

  async #join (url: string, known: KnownGame, game: number): Promise<void> {
    const socket = this.#sockets[game] = new WebSocket(url)
    await once(socket, 'open')
    const online = new Promise<void>((resolve) =>
      socket.on('message', (data: Buffer) =>
        this.#hear(JSON.parse(data.toString()) as ToGame, socket, resolve)
      )
    )
    socket.on('close', () => { this.closed++ })
    const payload = {
      client_id: known.client_id,
      client_secret: known.client_secret,
      supports: ['channels', 'players', 'tells', 'games'],
      channels: this.channelsOf(game),
      players,
      user_agent: 'load'
    }
    socket.send(JSON.stringify({ event: 'authenticate', payload }))
    await online
  }

  #hear (message: ToGame, socket: WebSocket, online: () => void): void {
    if ('error' in message) this.failed++
    if (!('event' in message)) return
    if (message.event === 'heartbeat') {
      socket.send(JSON.stringify({ event: 'heartbeat', payload: { players } }))
      online()
    } else if (message.event === 'channels/broadcast') {
      const number = parseInt(message.payload?.message ?? '')
      this.arrived[number] = (this.arrived[number] ?? 0) + 1
      if (this.latencies.length < 1e7) {
        this.latencies.push(performance.now() - (this.sentAt[number] ?? NaN))
      }
    }
  }
}

async function main (): Promise<void> {
  const games = Array.from({ length: Number(GAMES) }, (_, i) => ({
    name: `Game ${i}`,
    short_name: `Game${i}`,
    client_id: randomUUID(),
    client_secret: randomUUID()
  }))
  const servers: Array<{ server: ChildProcess, url: string }> = []
  for (let node = 0; node < Number(NODES); node++) servers.push(await startServer(games))
  const memory = (): string => servers.map(({ server }) => memoryOf(server)).join(' and ')
  const load = new Load(games)
  await load.connect(servers.map(({ url }) => url))
  const total = Number(PER_SECOND) * Number(SECONDS)
  console.log(
    `${games.length} games online on ${servers.length} nodes; ${cpus().length} cores of ` +
    `${cpus()[0]?.model}, Node ${process.version}`
  )
  console.log(`at 0 s: ${memory()} MB`)
  const startedAt = performance.now()
  let sent = 0
  let reportAt = 10
  while (sent < total) {
    const seconds = (performance.now() - startedAt) / 1000
    while (sent < Math.min(total, seconds * Number(PER_SECOND))) load.send(sent++)
    if (seconds >= reportAt) {
      console.log(`at ${reportAt} s: ${memory()} MB, ${sent} sent`)
      reportAt += 10
    }
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS))
  }
  const took = (performance.now() - startedAt) / 1000
  const wanted = total * (LISTENERS - 1)
  const arrived = (): number => load.arrived.reduce((sum, count) => sum + count, 0)
  for (let waited = 0; waited < 100 && arrived() < wanted; waited++) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  load.latencies.sort((a, b) => a - b)
  const at = (share: number): string =>
    `${load.latencies[Math.floor(load.latencies.length * share)]?.toFixed(1)} ms`
  console.log(`at the end: ${memory()} MB`)
  console.log(
    `${sent} messages in ${took.toFixed(1)} s, each to ${LISTENERS - 1} games: ${arrived()} of ` +
    `${wanted} arrived, ${load.arrived.filter((count) => count !== LISTENERS - 1).length} ` +
    'messages not everywhere once'
  )
  console.log(
    `${load.closed} sockets closed, ${load.failed} failures; from game to game p50 ${at(0.5)}, ` +
    `p99 ${at(0.99)}`
  )
  for (const { server } of servers) server.kill('SIGKILL')
  process.exit(load.closed + load.failed === 0 && arrived() === wanted ? 0 : 1)
}

async function startServer (
  games: readonly KnownGame[]
): Promise<{ server: ChildProcess, url: string }> {
  const path = join(mkdtempSync(join(tmpdir(), 'gossip-load-')), 'games.json')
  writeFileSync(path, JSON.stringify(games))
  const server = spawn(process.execPath, [join(__dirname, '..', 'server.js')], {
    env: { ...process.env, PORT: '0', GOSSIP_GAMES: path },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /ws:\S+\/socket/.exec(line)?.[0]
    if (url === undefined) continue
    server.stdout.resume()
    return { server, url }
  }
  throw new Error('the server ended before it listened')
}

/** A name of letters, because a channel may not contain digits. */
function channelName (n: number): string {
  return `channel-${[...String(n)].map((digit) => 'abcdefghij'[Number(digit)]).join('')}`
}

/** The resident memory in MB, on systems with /proc. */
function memoryOf ({ pid }: ChildProcess): string {
  try {
    return (
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
    ).toFixed(0)
  } catch {
    return '?'
  }
}

main().catch((error: unknown) => {
  console.error(error)
  process.exitCode = 1
})
